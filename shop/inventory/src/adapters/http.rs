//! REST: a file a resource.

pub(crate) mod products;
