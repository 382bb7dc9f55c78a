//! Ways in and out: REST, rows, announcements, consumers.

pub(crate) mod announce;
pub(crate) mod consumers;
pub(crate) mod http;
pub(crate) mod projections;
