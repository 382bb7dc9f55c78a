//! The drivers themselves, within a transaction: for what this facade does not have.

use tokio::sync::{MappedMutexGuard, MutexGuard};

use super::{State, Tx, cancelled, fail, keep};
use crate::SqlError;

impl Tx {
    /// Runs `work` on SQLite's writer within this transaction.
    ///
    /// # Errors
    /// [`SqlError::Usage`] on PostgreSQL; what `work` returns.
    pub async fn sqlite<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        let sqlite = self.db.sqlite()?;
        let mut state = self.state.lock().await;
        let calls = self.take_queued()?;
        let session = match std::mem::replace(&mut *state, cancelled()) {
            State::Sqlite(session) => session,
            State::Failed(error) => return fail(&mut state, error),
            _ => sqlite.session().await?,
        };
        let done = match session.run(calls).await {
            Ok(_) => session.with(work).await,
            Err(error) => Err(error),
        };
        keep(&mut state, State::Sqlite(session), done)
    }

    /// The driver's client within this transaction, which has begun. Do not end the transaction with it.
    ///
    /// # Errors
    /// [`SqlError::Usage`] on SQLite; the connection's.
    pub async fn postgres(&self) -> Result<MappedMutexGuard<'_, tokio_postgres::Client>, SqlError> {
        if self.db.sqlite().is_ok() {
            return Err(SqlError::usage("this database is SQLite"));
        }
        self.flush().await?;
        let mut state = self.state.lock().await;
        if let State::Postgres {
            connection,
            looked_at,
        } = &mut *state
        {
            *looked_at = true;
            connection.expose();
        }
        MutexGuard::try_map(state, |state| match state {
            State::Postgres { connection, .. } => connection.client(),
            _ => None,
        })
        .map_err(|_| SqlError::usage("the transaction has failed"))
    }
}
