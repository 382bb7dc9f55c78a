//! One facade over SQLite and PostgreSQL: the event log, unit of work, inbox, checkpoints, leases and migrations.
