//! Users, sessions, tokens and roles; state-stored.
