drop index parked_beyond;
drop index parked_by_message;
