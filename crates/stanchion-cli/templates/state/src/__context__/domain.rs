//! What must always hold: no I/O, no clock, no randomness. Ids and times arrive in commands.

pub(crate) mod __thing__;
// <domain>
// </domain>
