//! A file a command: its arguments, its help, and how it prints.

pub(crate) mod add;
pub(crate) mod adr;
pub(crate) mod completions;
pub(crate) mod decide;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod man;
pub(crate) mod mcp;
pub(crate) mod new;
pub(crate) mod review;
pub(crate) mod upgrade;
