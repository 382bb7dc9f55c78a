//! What a predicate and an operator are told of the window.

/// What a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Calls that ended, ignored ones left out.
    pub calls: u32,
    /// Of them, those that failed.
    pub failures: u32,
    /// Of them, those that were slow, failed or not.
    pub slow: u32,
    /// Calls that failed since the last that did not.
    pub failures_in_row: u32,
}
