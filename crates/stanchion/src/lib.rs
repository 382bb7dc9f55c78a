//! Make your Rust service survive production: the one stanchion line in a manifest.
