//! What handlers take: each with the documented errors and a description of itself.

mod body;
mod consistency;
mod cursor;
mod deadline;
mod etag;
mod listing;
mod patch;
mod path;
mod prefer;
mod query;
mod validate;

pub use body::Body;
pub use consistency::ConsistencyToken;
pub use deadline::Deadline;
pub use etag::{IfMatch, IfNoneMatch};
pub use listing::{Filters, Listing, Order, Paging};
pub use patch::MergePatch;
pub use path::{Path, PathId};
pub use prefer::Prefer;
pub use query::Query;
pub use validate::{Validate, Violations};

pub(crate) use body::{BodyLimit, Collected, collect};
pub(crate) use consistency::stamp as consistency_stamp;
pub(crate) use deadline::{
    HEADER as TIMEOUT_HEADER, PATTERN as TIMEOUT_PATTERN, requested as requested_timeout,
};
