-- The due time that a retry was given when its attempt began: while it is still that, nobody has told how the attempt ended. A version
-- before this gives the row another one, and says that an attempt has begun in the row's reason.
alter table parked add column under_way_until timestamptz;
