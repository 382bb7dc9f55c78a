//! One small program a pattern.
