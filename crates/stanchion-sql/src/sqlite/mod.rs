//! SQLite: one writer thread, a few reading threads, one process a folder.

mod connection;
mod failure;
mod folder;
mod reader;
mod session;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

pub(crate) use self::connection::{each, overwrite_deleted, run, script};
pub(crate) use self::failure::sql_error;
use self::folder::Folder;
use self::reader::Readers;
pub(crate) use self::session::Session;
pub(crate) use self::writer::BESIDE;
use self::writer::Writer;
use crate::row::Outcome;
use crate::statement::Statement;
use crate::{DatabaseSettings, Params, SqlError};

/// A statement with its parameters.
pub(crate) type Call = (Arc<Statement>, Params);

/// One module's file, opened once in this process.
#[derive(Debug)]
pub(crate) struct Sqlite {
    writer: Option<Writer>,
    readers: Readers,
}

impl Sqlite {
    /// Opens `folder/module.db`, or gives the one that this process has open already.
    pub(crate) fn open(
        folder: &Path,
        module: &str,
        settings: &DatabaseSettings,
    ) -> Result<Arc<Self>, SqlError> {
        let folder = Folder::lock(folder)?;
        Self::open_in(folder, module, settings, false)
    }

    /// A database in a folder of its own that goes away with it.
    pub(crate) fn temporary(
        module: &str,
        settings: &DatabaseSettings,
    ) -> Result<Arc<Self>, SqlError> {
        Self::open_in(Folder::temporary()?, module, settings, true)
    }

    /// Only readers, beside a process that may be writing.
    pub(crate) fn open_read_only(
        folder: &Path,
        module: &str,
        settings: &DatabaseSettings,
    ) -> Result<Arc<Self>, SqlError> {
        let readers = Readers::start(&folder.join(format!("{module}.db")), settings)?;
        Ok(Arc::new(Self {
            writer: None,
            readers,
        }))
    }

    fn open_in(
        folder: Arc<Folder>,
        module: &str,
        settings: &DatabaseSettings,
        temporary: bool,
    ) -> Result<Arc<Self>, SqlError> {
        folder.clone().open_once(module, |path| {
            let writer = Writer::start(path, settings, temporary, folder)?;
            let readers = Readers::start(path, settings)?;
            Ok(Self {
                writer: Some(writer),
                readers,
            })
        })
    }

    /// Runs one statement where it belongs: on a reader, or on the writer as its own transaction.
    pub(crate) async fn run(&self, call: Call) -> Result<Outcome, SqlError> {
        if !call.0.writes()
            && let Some(outcome) = self.run_read(call.clone()).await?
        {
            return Ok(outcome);
        }
        self.write(move |conn| connection::run(conn, &call)).await
    }

    /// Runs one statement on a reader; `None` if it would write.
    pub(crate) async fn run_read(&self, call: Call) -> Result<Option<Outcome>, SqlError> {
        self.readers.run(call).await
    }

    /// Runs `work` on the writer in one transaction; once queued it runs to its end.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        self.writer()?.write(None, work).await
    }

    /// The same with a bound of its own for each statement.
    pub(crate) async fn write_within<T: Send + 'static>(
        &self,
        longest: Duration,
        work: impl FnOnce(&Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        self.writer()?.write(Some(longest), work).await
    }

    /// The same with another database's file at hand as the schema [`BESIDE`], and a bound of its own for each statement.
    pub(crate) async fn write_beside<T: Send + 'static>(
        &self,
        file: PathBuf,
        longest: Duration,
        work: impl FnOnce(&Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        self.writer()?.write_beside(file, longest, work).await
    }

    /// Runs `work` on a read-only connection.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        self.readers.with(work).await
    }

    /// Runs the calls in one transaction, as one job of the writer.
    pub(crate) async fn commit(&self, calls: Vec<Call>) -> Result<(), SqlError> {
        self.write(move |conn| {
            calls
                .iter()
                .try_for_each(|call| connection::run(conn, call).map(drop))
        })
        .await
    }

    /// Begins a transaction that holds the writer between its statements.
    pub(crate) async fn session(&self) -> Result<Session, SqlError> {
        self.writer()?.session().await
    }

    /// Waits for queued writes, empties the write-ahead log, and ends the writer.
    pub(crate) async fn close(&self) {
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }

    pub(crate) fn waiting_writes(&self) -> usize {
        self.writer.as_ref().map_or(0, Writer::waiting)
    }

    fn writer(&self) -> Result<&Writer, SqlError> {
        let read_only = || SqlError::usage("this database was opened for reading only");
        self.writer.as_ref().ok_or_else(read_only)
    }
}
