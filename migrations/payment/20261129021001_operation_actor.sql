-- The operator who asked for an operation by hand; null where a saga's step did.
alter table payment_operation add column actor text;
