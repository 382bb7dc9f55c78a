//! Aggregates, the event log's port, repositories, projections, process managers and the relay.
