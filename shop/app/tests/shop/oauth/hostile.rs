//! What a hostile client, or somebody in between, tries: each refused with the error that the RFC names.

mod codes;
mod forms;
mod requests;
