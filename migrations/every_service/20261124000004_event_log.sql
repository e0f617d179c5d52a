-- What has become true here. Written in the transaction that makes it true, told to the rest of the world by the relay.
--
-- The relay reads by (written_by, id): a row's transaction id comes before the row is visible to anyone, so everything
-- below the oldest running transaction is complete, and nothing is skipped as it would be with a sequence.
create table event_log (
    id           uuid primary key,       -- v7, made by the writer
    written_by   xid8 not null default pg_current_xact_id(),
    name         text not null,          -- noun.past_participle
    account_id   uuid not null,
    livemode     boolean not null,
    subject      text not null,          -- the order's id, the SKU
    version      bigint not null,
    data         jsonb not null,
    occurred_at  timestamptz not null default now(),
    constraint event_log_version unique (account_id, livemode, subject, version, name)
);
create index event_log_position on event_log (written_by, id);

-- How far the log has been told, and to which stream: when that is another one, everything is told again.
create table event_relay (
    singleton      boolean primary key default true constraint event_relay_one_row check (singleton),
    stream_created timestamptz not null,
    written_by     xid8 not null,
    id             uuid not null
);
