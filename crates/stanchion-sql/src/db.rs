use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use async_trait::async_trait;

use crate::log::LogState;
use crate::postgres::Postgres;
use crate::row::Outcome;
use crate::sqlite::Sqlite;
use crate::statement::{Statement, Statements};
use crate::url::Place;
use crate::{DatabaseSettings, DatabaseUrl, Engine, Params, Query, Row, SqlError, Tx};

/// The longest module name; it becomes a file's or a schema's name.
const MODULE_MAX: usize = 48;

/// One module's database: a SQLite file or a PostgreSQL schema. Cheap to clone.
///
/// Each statement run on it is its own transaction and durable when it returns; [`Db::begin`] makes
/// several one. Every method can be cancelled at any await; no connection is left with an open transaction.
#[derive(Clone, Debug)]
pub struct Db {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    module: String,
    backend: Backend,
    statements: Statements,
    counts: Counts,
    append_wait: std::time::Duration,
    log: LogState,
}

#[derive(Debug, Clone)]
pub(crate) enum Backend {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
}

/// What a database has done since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) committed: AtomicU64,
    pub(crate) rolled_back: AtomicU64,
}

/// The state of a database's bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DbStatus {
    /// PostgreSQL: open connections.
    pub connections: usize,
    /// PostgreSQL: open connections that are free.
    pub connections_free: usize,
    /// PostgreSQL: who waits for a connection. SQLite: writes queued or running.
    pub waiting: usize,
    /// Transactions committed.
    pub committed: u64,
    /// Transactions rolled back, dropped or failed.
    pub rolled_back: u64,
}

impl Db {
    /// Opens the database of `module`: `DIR/<module>.db`, or the schema `<module>`; made if it is not there.
    ///
    /// A SQLite folder belongs to one process at a time; opening the same module again in this process gives
    /// the same database.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`]: it cannot be reached, or the folder is open in another process.
    /// [`SqlError::Usage`]: the module's name is not of lower-case letters, digits and `_`.
    pub async fn open(
        url: &DatabaseUrl,
        module: &str,
        settings: &DatabaseSettings,
    ) -> Result<Self, SqlError> {
        check_module(module)?;
        let backend = match url.place() {
            Place::Folder(folder) => {
                let (folder, own) = (folder.clone(), settings.clone());
                let name = module.to_owned();
                Backend::Sqlite(off_the_runtime(move || Sqlite::open(&folder, &name, &own)).await?)
            }
            Place::Server(url) => {
                let postgres = Arc::new(Postgres::open(url, module, settings).await?);
                crate::postgres::count(&postgres);
                Backend::Postgres(postgres)
            }
        };
        Ok(Self::of(module, backend, settings))
    }

    /// Opens it for reading only, beside the process that has it open: for operators' tools and checkers.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`]: there is no such database. A statement that writes is refused.
    pub async fn open_read_only(
        url: &DatabaseUrl,
        module: &str,
        settings: &DatabaseSettings,
    ) -> Result<Self, SqlError> {
        check_module(module)?;
        let Place::Folder(folder) = url.place() else {
            return Self::open(url, module, settings).await;
        };
        let (folder, own, name) = (folder.clone(), settings.clone(), module.to_owned());
        let sqlite = off_the_runtime(move || Sqlite::open_read_only(&folder, &name, &own)).await?;
        Ok(Self::of(module, Backend::Sqlite(sqlite), settings))
    }

    /// An empty SQLite database that goes away with its last clone: for tests.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`]: the folder for temporary files cannot be written.
    pub fn memory(module: &str) -> Result<Self, SqlError> {
        check_module(module)?;
        let settings = DatabaseSettings::default();
        let sqlite = Sqlite::temporary(module, &settings)?;
        Ok(Self::of(module, Backend::Sqlite(sqlite), &settings))
    }

    /// Begins a transaction; nothing is sent before its first statement.
    #[must_use = "a transaction that is dropped is rolled back"]
    pub fn begin(&self) -> Tx {
        Tx::new(self.clone())
    }

    /// All rows of a statement with `$1`, `$2`, … filled in.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn query(&self, sql: &str, params: Params) -> Result<Vec<Row>, SqlError> {
        self.run(sql, params).await.map(|outcome| outcome.rows)
    }

    /// The row, if there is one.
    ///
    /// # Errors
    /// [`SqlError::Decode`] when there are several; else see [`SqlError`].
    pub async fn opt(&self, sql: &str, params: Params) -> Result<Option<Row>, SqlError> {
        self.run(sql, params).await?.at_most_one()
    }

    /// The row.
    ///
    /// # Errors
    /// [`SqlError::Decode`] when there is none or several; else see [`SqlError`].
    pub async fn one(&self, sql: &str, params: Params) -> Result<Row, SqlError> {
        Query::one(self, sql, params).await
    }

    /// Runs a statement; how many rows it changed.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn exec(&self, sql: &str, params: Params) -> Result<u64, SqlError> {
        self.run(sql, params).await.map(|outcome| outcome.affected)
    }

    /// Runs several statements without parameters as one transaction.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn script(&self, sql: &str) -> Result<(), SqlError> {
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => {
                let sql = sql.to_owned();
                sqlite
                    .write(move |conn| crate::sqlite::script(conn, &sql))
                    .await
            }
            Backend::Postgres(postgres) => postgres.script(sql).await,
        }
    }

    /// Runs `work` on SQLite's writer thread, in one transaction. Once queued it runs to its end.
    ///
    /// # Errors
    /// [`SqlError::Usage`] on PostgreSQL; what `work` returns.
    pub async fn sqlite_write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        self.sqlite()?.write(work).await
    }

    /// Runs `work` on one of SQLite's read-only connections.
    ///
    /// # Errors
    /// [`SqlError::Usage`] on PostgreSQL; what `work` returns.
    pub async fn sqlite_read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        self.sqlite()?.read(work).await
    }

    /// Whose database it is.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.inner.module
    }

    /// Which database it is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.inner.backend {
            Backend::Sqlite(_) => Engine::Sqlite,
            Backend::Postgres(_) => Engine::Postgres,
        }
    }

    /// The state of its bounds.
    #[must_use]
    pub fn status(&self) -> DbStatus {
        let counts = &self.inner.counts;
        let mut status = DbStatus {
            committed: counts.committed.load(Ordering::Relaxed),
            rolled_back: counts.rolled_back.load(Ordering::Relaxed),
            ..DbStatus::default()
        };
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => status.waiting = sqlite.waiting_writes(),
            Backend::Postgres(postgres) => {
                let pool = postgres.status();
                status.connections = pool.size;
                status.connections_free = pool.available;
                status.waiting = pool.waiting;
            }
        }
        status
    }

    /// Lets queued writes end, then closes the database. Every later write on any clone fails; over PostgreSQL every read, too.
    pub async fn close(&self) {
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.close().await,
            Backend::Postgres(postgres) => postgres.close(),
        }
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.inner.backend
    }

    pub(crate) fn append_wait(&self) -> std::time::Duration {
        self.inner.append_wait
    }

    /// Grows whenever a connection was made anew, perhaps to a server that knows less than the one before.
    pub(crate) fn incarnation(&self) -> u64 {
        let postgres = self.postgres();
        postgres.map_or(0, |postgres| postgres.connections_made())
    }

    pub(crate) fn postgres(&self) -> Option<&Arc<Postgres>> {
        match &self.inner.backend {
            Backend::Postgres(postgres) => Some(postgres),
            Backend::Sqlite(_) => None,
        }
    }

    pub(crate) fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.inner)
    }

    pub(crate) fn upgrade(inner: &Weak<Inner>) -> Option<Self> {
        inner.upgrade().map(|inner| Self { inner })
    }

    /// What this process knows of the module's log.
    pub(crate) fn log(&self) -> &LogState {
        &self.inner.log
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.inner.counts
    }

    pub(crate) fn statement(&self, sql: &str) -> Arc<Statement> {
        self.inner.statements.get(sql)
    }

    pub(crate) fn sqlite(&self) -> Result<&Arc<Sqlite>, SqlError> {
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => Ok(sqlite),
            Backend::Postgres(_) => Err(SqlError::usage("this database is PostgreSQL")),
        }
    }

    async fn run(&self, sql: &str, params: Params) -> Result<Outcome, SqlError> {
        let call = (self.statement(sql), params);
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.run(call).await,
            Backend::Postgres(postgres) => postgres.run(call).await,
        }
    }

    fn of(module: &str, backend: Backend, settings: &DatabaseSettings) -> Self {
        Self {
            inner: Arc::new(Inner {
                module: module.to_owned(),
                backend,
                statements: Statements::default(),
                counts: Counts::default(),
                append_wait: settings.append_wait,
                log: LogState::default(),
            }),
        }
    }
}

#[async_trait]
impl Query for Db {
    async fn query(&self, sql: &str, params: Params) -> Result<Vec<Row>, SqlError> {
        Db::query(self, sql, params).await
    }

    async fn opt(&self, sql: &str, params: Params) -> Result<Option<Row>, SqlError> {
        Db::opt(self, sql, params).await
    }

    async fn exec(&self, sql: &str, params: Params) -> Result<u64, SqlError> {
        Db::exec(self, sql, params).await
    }
}

async fn off_the_runtime<T: Send + 'static>(
    open: impl FnOnce() -> Result<T, SqlError> + Send + 'static,
) -> Result<T, SqlError> {
    stanchion_runtime::task::blocking("open-database", open)
        .await
        .map_err(|failed| SqlError::Unavailable(failed.to_string()))?
}

fn check_module(module: &str) -> Result<(), SqlError> {
    let fits = module.starts_with(|c: char| c.is_ascii_lowercase())
        && module.len() <= MODULE_MAX
        && module
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if fits {
        return Ok(());
    }
    Err(SqlError::Usage(format!(
        "`{module}` is no module name: lower-case letters, digits and `_`, at most {MODULE_MAX}"
    )))
}
