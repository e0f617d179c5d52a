-- A saga that an operator's key began is the operator's doing too. A start may come without a reason: most are a program's.
alter table audit
    drop constraint audit_action,
    add constraint audit_action check
        (action in ('start', 'retry', 'skip', 'compensate', 'resolve', 'pause', 'resume', 'cancel', 'signal', 'move'));
