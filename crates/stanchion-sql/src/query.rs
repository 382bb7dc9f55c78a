use async_trait::async_trait;

use crate::{Params, Row, SqlError};

/// What statements run on: a [`crate::Db`] (each statement its own transaction) or a [`crate::Tx`].
///
/// Placeholders are `$1`, `$2`, … on both databases.
#[async_trait]
pub trait Query: Send + Sync {
    /// All rows.
    ///
    /// # Errors
    /// See [`SqlError`].
    async fn query(&self, sql: &str, params: Params) -> Result<Vec<Row>, SqlError>;

    /// The row, if there is one; more than one is an error.
    ///
    /// # Errors
    /// See [`SqlError`].
    async fn opt(&self, sql: &str, params: Params) -> Result<Option<Row>, SqlError>;

    /// Runs it; how many rows it changed.
    ///
    /// # Errors
    /// See [`SqlError`].
    async fn exec(&self, sql: &str, params: Params) -> Result<u64, SqlError>;

    /// The row; none or more than one is an error.
    ///
    /// # Errors
    /// See [`SqlError`].
    async fn one(&self, sql: &str, params: Params) -> Result<Row, SqlError> {
        let row = self.opt(sql, params).await?;
        row.ok_or_else(|| SqlError::Decode("one row was expected, none came".into()))
    }
}
