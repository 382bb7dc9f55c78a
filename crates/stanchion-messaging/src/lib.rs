//! Contracts, messages, consumers with inbox, retry and dead letters; the in-process broker.
