//! Money and typed ids; no input or output.
