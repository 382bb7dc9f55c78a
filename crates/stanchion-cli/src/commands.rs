//! A file a command: its arguments, its help, and how it prints.

pub(crate) mod explain;
pub(crate) mod review;
