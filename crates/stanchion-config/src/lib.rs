//! Typed configuration from defaults, file, environment and secret files, every value with its source.
