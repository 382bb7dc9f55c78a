-- Which contract a message put aside is of, for those that wait for an upgrade; null in rows of a version before this.
alter table parked add column contract text;
