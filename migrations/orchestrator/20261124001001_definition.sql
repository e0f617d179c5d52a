-- Every version of every definition that was ever started, with its hash: a released version never changes.
create table definition (
    name       text not null,
    version    integer not null,
    yaml       text not null,
    sha256     bytea not null,
    stored_at  timestamptz not null default now(),
    constraint definition_key primary key (name, version)
);
