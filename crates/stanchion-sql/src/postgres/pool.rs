use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use deadpool_postgres::{
    Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use stanchion_runtime::task;
use tokio_postgres::NoTls;

use super::connection::Connection;
use super::lone::{Dial, SILENT_MAX};
use super::server::Server;
use super::tls::Tls;
use super::together::Connections;
use super::{sql_error, work};
use crate::row::Outcome;
use crate::{DatabaseSettings, SqlError};

/// How often idle and old connections are looked for.
const TIDY_EVERY: std::time::Duration = std::time::Duration::from_secs(30);

/// One module's schema, with a pool of its own.
pub(crate) struct Postgres {
    pool: Pool,
    dial: Arc<Dial>,
    /// Which server and database it is: a hash of the URL, which may hold a password.
    place: [u8; 32],
    server: Arc<Server>,
    settings: DatabaseSettings,
    /// Writers of logs, each with a connection of its own.
    writers: AtomicUsize,
    /// How many connections were made: each may have reached another server than the one before.
    made: Arc<AtomicU64>,
    tidy: task::Task<()>,
}

/// What the URL says, and the file of trusted roots if it names one.
pub(crate) struct Parsed {
    config: tokio_postgres::Config,
    roots: Option<String>,
}

/// Reads a URL as libpq does, as far as the driver goes: `verify-ca` and `verify-full` are `require`,
/// because a certificate is verified in any case.
pub(crate) fn parse(url: &str) -> Result<Parsed, tokio_postgres::Error> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut roots = None;
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslrootcert", file)) => roots = Some(file.replace("%2F", "/")),
            Some(("sslmode", "verify-ca" | "verify-full")) => kept.push("sslmode=require"),
            Some(("sslmode", "allow")) => kept.push("sslmode=prefer"),
            _ => kept.push(pair),
        }
    }
    let config = format!("{base}?{}", kept.join("&")).parse()?;
    Ok(Parsed { config, roots })
}

impl Postgres {
    /// Connects once, creates the schema, and gives a pool whose connections use it.
    pub(crate) async fn open(
        url: &SecretString,
        module: &str,
        settings: &DatabaseSettings,
    ) -> Result<Self, SqlError> {
        let parsed = parse(url.expose_secret()).map_err(|error| sql_error(&error, ""))?;
        let mut config = parsed.config;
        config.connect_timeout(settings.acquire_timeout);
        // A host that is gone is noticed, however long its answer may take.
        config.tcp_user_timeout(SILENT_MAX);
        config.keepalives_idle(SILENT_MAX);
        if config.get_application_name().is_none() {
            config.application_name(module);
        }
        let tls = Tls::of(&config, parsed.roots.as_deref())?;
        let server = Arc::new(Server::new(&config, tls));
        let session = session(module, settings);
        let made = Arc::new(AtomicU64::new(0));
        let set_up = set_up(Arc::clone(&session), Arc::clone(&made));
        let pool = pool(config.clone(), server.tls(), set_up, settings)?;
        let postgres = Self {
            dial: Arc::new(Dial {
                config,
                tls: server.tls().clone(),
                session,
                open: Arc::default(),
            }),
            place: Sha256::digest(url.expose_secret()).into(),
            tidy: task::spawn("postgres-tidy", tidy(pool.clone(), settings.clone())),
            pool,
            server,
            settings: settings.clone(),
            writers: AtomicUsize::new(0),
            made,
        };
        super::pooler::refuse_shared_sessions(&postgres.dial).await?;
        postgres.create_schema(module).await?;
        Ok(postgres)
    }

    /// A connection that comes back clean.
    pub(crate) async fn connection(&self) -> Result<Connection, SqlError> {
        let object = self.pool.get().await.map_err(pool_error)?;
        let pipelining = self.settings.pipelining;
        Ok(Connection::new(
            object,
            Arc::clone(&self.server),
            pipelining,
        ))
    }

    /// Runs one statement as its own transaction.
    pub(crate) async fn run(&self, call: work::Call) -> Result<Outcome, SqlError> {
        self.connection().await?.run_alone(call).await
    }

    /// Gives each row of a statement that only reads to `each`.
    pub(crate) async fn read(
        &self,
        call: work::Call,
        each: &mut (dyn FnMut(&tokio_postgres::Row) + Send),
    ) -> Result<(), SqlError> {
        self.connection().await?.read(call, each).await
    }

    /// Runs a script of statements without parameters, as one transaction.
    pub(crate) async fn script(&self, sql: &str) -> Result<(), SqlError> {
        self.connection().await?.script(sql).await
    }

    pub(crate) fn settings(&self) -> &DatabaseSettings {
        &self.settings
    }

    /// Which server and database it is; the same for every module there.
    pub(crate) fn place(&self) -> [u8; 32] {
        self.place
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    /// How connections outside of the pool are made.
    pub(crate) fn dial(&self) -> &Arc<Dial> {
        &self.dial
    }

    /// Says that a connection outside of the pool was made.
    pub(crate) fn connected_anew(&self) {
        self.made.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn connections_made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }

    /// A log's writer is there, or no longer.
    pub(crate) fn count_writer(&self, there: bool) {
        if there {
            self.writers.fetch_add(1, Ordering::Relaxed);
        } else {
            self.writers.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Adds this module's connections.
    pub(super) fn add_to(&self, all: &mut Connections) {
        let (pool, writers) = (self.pool.status(), self.writers.load(Ordering::Relaxed));
        let lone = self.dial.open.load(Ordering::Relaxed);
        all.database.clone_from(&self.server.shown);
        all.modules += 1;
        all.pooled_max += pool.max_size;
        all.writers += writers;
        all.listeners = all
            .listeners
            .max(usize::from(writers > 0 && self.settings.listen));
        all.open += pool.size + lone;
        all.in_use += pool.size.saturating_sub(pool.available) + lone;
    }

    pub(crate) fn status(&self) -> deadpool_postgres::Status {
        self.pool.status()
    }

    pub(crate) fn close(&self) {
        self.tidy.abort();
        self.pool.close();
    }

    async fn create_schema(&self, module: &str) -> Result<(), SqlError> {
        // Asked first: a role without the right to create schemas may well use one that is there.
        let known = crate::statement::Statement::new(
            "select 1 from pg_catalog.pg_namespace where nspname = $1",
        );
        let found = self.run((Arc::new(known), crate::params![module])).await?;
        if found.rows.is_empty() {
            let create = format!("create schema if not exists \"{module}\"");
            match self.script(&create).await {
                // Two processes at once: one of them loses, the schema is there.
                Err(SqlError::Conflict(_)) => {}
                other => other?,
            }
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.tidy.abort();
    }
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("pool", &self.pool.status())
            .finish_non_exhaustive()
    }
}

fn pool(
    config: tokio_postgres::Config,
    tls: &Tls,
    set_up: deadpool_postgres::Hook,
    settings: &DatabaseSettings,
) -> Result<Pool, SqlError> {
    // `Fast` does not look at the transaction state: a Connection cleans up before it gives back.
    let how = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = match tls {
        Tls::Plain => Manager::from_config(config, NoTls, how),
        Tls::Rustls(tls) => Manager::from_config(config, tls.clone(), how),
    };
    let wait = Some(settings.acquire_timeout);
    Pool::builder(manager)
        .max_size(settings.connections_max.max(1))
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts {
            wait,
            create: wait,
            recycle: wait,
        })
        .post_create(set_up)
        .build()
        .map_err(|error| SqlError::Unavailable(error.to_string()))
}

/// What each new connection is told.
fn session(module: &str, settings: &DatabaseSettings) -> Arc<str> {
    let statement = settings.statement_timeout.as_millis();
    let lock = settings.lock_timeout.as_millis();
    format!(
        "set search_path = \"{module}\"; set statement_timeout = {statement}; set lock_timeout = {lock};
         set idle_in_transaction_session_timeout = {lock}; set timezone = 'UTC';
         set default_transaction_isolation = 'read committed'"
    )
    .into()
}

fn set_up(session: Arc<str>, made: Arc<AtomicU64>) -> deadpool_postgres::Hook {
    deadpool_postgres::Hook::async_fn(move |client, _| {
        made.fetch_add(1, Ordering::SeqCst);
        let session = Arc::clone(&session);
        Box::pin(async move {
            let done = client.batch_execute(&session).await;
            done.map_err(deadpool_postgres::HookError::Backend)
        })
    })
}

/// Closes what is too old, and what is idle beyond the number that may be.
async fn tidy(pool: Pool, settings: DatabaseSettings) {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        let mut idle = 0;
        pool.retain(|_, metrics| {
            idle += 1;
            metrics.age() < settings.connection_life
                && metrics.last_used() < settings.connection_idle_time
                && (idle <= settings.connections_idle || metrics.last_used() < TIDY_EVERY)
        });
    }
}

fn pool_error(error: PoolError) -> SqlError {
    match error {
        PoolError::Timeout(_) => SqlError::Timeout("no connection was free in time".into()),
        PoolError::Backend(error) => sql_error(&error, ""),
        PoolError::PostCreateHook(deadpool_postgres::HookError::Backend(error)) => {
            sql_error(&error, "")
        }
        other => SqlError::Unavailable(other.to_string()),
    }
}
