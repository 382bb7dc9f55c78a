//! Tokens, keys, passwords, the principal and permissions; no transport.
