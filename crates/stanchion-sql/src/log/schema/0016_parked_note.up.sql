-- What is known of the message since it was first put aside, empty where that is nothing. A version before this leaves it null in the rows that
-- it inserts, and says it in the row's reason; in others it leaves it as it is.
alter table parked add column note text;
