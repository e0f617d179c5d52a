-- An operator can hold a saga.
alter table saga drop constraint saga_state;
alter table saga add constraint saga_state check
    (state in ('running', 'waiting', 'compensating', 'finishing', 'paused', 'parked', 'completed', 'compensated'));
