use std::fmt;

/// Why a statement or a transaction failed, in the same words for both databases.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SqlError {
    /// The database cannot be reached or refuses work; nothing was changed. Trying again later may help.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The connection broke while COMMIT, or a statement that is its own transaction, was on its way: what it did is wholly
    /// there or wholly not.
    #[error("the outcome of the commit is unknown: {0}")]
    InDoubt(String),
    /// A unique constraint or index refused a row.
    #[error("a row with the same {0} exists")]
    Conflict(UniqueViolation),
    /// Another constraint (foreign key, check, not null) refused a row.
    #[error("a constraint refused the row: {0}")]
    Constraint(String),
    /// A statement, a wait for a connection, or a transaction's hold took longer than its bound.
    #[error("the database took too long: {0}")]
    Timeout(String),
    /// Two transactions stood in each other's way (deadlock, lock timeout): the whole one can be repeated.
    #[error("the transaction collided with another one: {0}")]
    Serialization(String),
    /// A column has another type than was asked for, or a row was missing.
    #[error("cannot read a row: {0}")]
    Decode(String),
    /// The statement or the call is wrong; trying again cannot help.
    #[error("wrong use of the database: {0}")]
    Usage(String),
}

/// Which unique constraint was violated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UniqueViolation {
    /// The constraint's or index's name, where the database tells it (PostgreSQL); else empty.
    pub constraint: String,
    /// The columns, without their table.
    pub columns: Vec<String>,
}

impl SqlError {
    /// Whether repeating the whole transaction may succeed. An unknown outcome is not repeated blindly.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Serialization(_))
    }

    /// Whether it is a unique violation that concerns `column`.
    #[must_use]
    pub fn conflicts_on(&self, column: &str) -> bool {
        matches!(self, Self::Conflict(violation) if violation.columns.iter().any(|name| name == column))
    }

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }
}

impl fmt::Display for UniqueViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.columns.is_empty() {
            f.write_str(&self.constraint)
        } else {
            f.write_str(&self.columns.join(", "))
        }
    }
}
