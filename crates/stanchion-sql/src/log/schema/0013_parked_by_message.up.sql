-- An operator names a message by its id alone, whoever has put it aside.
create index parked_by_message on parked (message_id);

-- Retries that are due later than any wait lasts, without the delayed messages, which are due then on purpose and may be many.
create index parked_beyond on parked (consumer, state, due_at) where state = 'retry' and substr(key, 1, 8) <> 'delayed/';
