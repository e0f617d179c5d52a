-- Events are forgotten after some days: the provider repeats one for hours at most, and a hint that comes once more asks once more.
-- Nobody looks callbacks up by their operation.
drop index provider_callback_operation_id;
create index provider_callback_received_at on provider_callback (received_at);
