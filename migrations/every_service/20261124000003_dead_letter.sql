-- Messages that cannot be handled, parked with their reason until an operator sends them again or lets them go.
create table dead_letter (
    id          uuid primary key,
    subject     text not null,
    payload     bytea not null,          -- at most 64 kB is kept
    reason      text not null,
    deliveries  bigint not null,
    parked_at   timestamptz not null default now(),
    resolved_at timestamptz,
    resolution  text
);
create index dead_letter_open on dead_letter (parked_at) where resolved_at is null;
