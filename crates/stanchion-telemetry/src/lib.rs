//! Logs, metrics and traces: one init, one flush.
