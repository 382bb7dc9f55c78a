-- The user's epoch at the login: whatever is taken from the user since voids the code. Null is by a release that did not say.
alter table codes add column epoch bigint;
