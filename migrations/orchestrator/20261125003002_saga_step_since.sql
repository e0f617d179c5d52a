-- How long a saga has been at its current step, so that one that is stuck is seen. Not indexed: it changes with most steps.
alter table saga add column step_since timestamptz not null default now();
