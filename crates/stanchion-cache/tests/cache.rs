//! The cache as its users see it, over a remote tier in process, in stopped time.

mod cache {
    mod crowds;
    mod lookups;
    mod measured;
    mod model;
    mod support;
}
