use std::future::Future;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use stanchion_runtime::{clock, id};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::{Db, Engine, Params, Query, SqlError, params};

/// A lease is renewed, and asked for again, this many times within its time.
const TRIES_PER_TTL: u32 = 3;

/// So far apart clocks may be, or be set.
const SKEW_MAX: Duration = Duration::from_secs(60);

/// What only one process at a time may do, by name; held for a while and renewed.
///
/// A pause (a stopped virtual machine, a full disk) may outlast a lease without its holder noticing, so holding
/// one proves nothing by itself: a write that must not come from a stale holder checks the lease's token in its own
/// transaction with [`Leases::guard`]. On PostgreSQL times are the server's, so that clocks may differ.
#[derive(Clone, Debug)]
pub struct Leases {
    db: Db,
    holder: Uuid,
}

/// A lease that was given; it ends by itself unless renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    name: String,
    token: i64,
    /// Its time counts from here for whoever has it: the store's began no earlier, and its answer may come late.
    asked_at: Instant,
}

/// Why a guarded write was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else may hold it by now; nothing must be written.
    #[error("the lease `{0}` is lost")]
    Lost(String),
    /// The database failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

impl Lease {
    pub(crate) fn of(name: impl Into<String>, token: i64) -> Self {
        Self {
            name: name.into(),
            token,
            asked_at: Instant::now(),
        }
    }

    /// Whether it may be another's by now, unless it was renewed.
    pub(crate) fn is_over(&self, ttl: Duration) -> bool {
        self.asked_at.elapsed() >= ttl
    }

    /// What is held.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fencing token: greater than that of every earlier holder.
    #[must_use]
    pub fn token(&self) -> i64 {
        self.token
    }
}

impl Leases {
    /// The leases of a store whose `stanchion` migrations are applied, for one holder: this process.
    #[must_use]
    pub fn new(db: Db) -> Self {
        let holder = id::new_v7();
        Self { db, holder }
    }

    /// Takes the lease if nobody holds it. One that was given or renewed later than in a minute from now was given by a clock that
    /// has been set back since, and is held by nobody; how long it was given for has no part in that.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn take(&self, name: &str, ttl: Duration) -> Result<Option<Lease>, SqlError> {
        let asked_at = Instant::now();
        let mut times = self.times(params![name, self.holder]);
        let (now, end) = (times.now(), times.after(ttl));
        let ahead = times.after(SKEW_MAX);
        let beyond = times.after(ttl.saturating_mul(2).saturating_add(SKEW_MAX));
        // A release before this one does not say when: of such a lease its end must do.
        let sql = format!(
            "insert into lease (name, holder, token, expires_at, granted_at) \
             values ($1, $2, 1, {end}, {now}) \
             on conflict (name) do update set holder = excluded.holder, token = lease.token + 1, \
             expires_at = excluded.expires_at, granted_at = excluded.granted_at \
             where lease.expires_at <= {now} or lease.granted_at > {ahead} \
             or (lease.granted_at is null and lease.expires_at > {beyond}) returning token"
        );
        let row = self.db.opt(&sql, times.params).await?;
        row.map(|row| {
            let name = name.to_owned();
            row.get(0).map(|token| Lease {
                name,
                token,
                asked_at,
            })
        })
        .transpose()
    }

    /// Holds it for another `ttl` from now; false if it is lost.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, SqlError> {
        let mut times = self.times(params![lease.name.as_str(), lease.token]);
        let (now, end) = (times.now(), times.after(ttl));
        let sql = format!(
            "update lease set expires_at = {end}, granted_at = {now} \
             where name = $1 and token = $2 and expires_at > {now}"
        );
        Ok(self.db.exec(&sql, times.params).await? == 1)
    }

    /// Gives it up; nothing happens if it is lost.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn release(&self, lease: &Lease) -> Result<(), SqlError> {
        let mut times = self.times(params![lease.name.as_str(), lease.token]);
        let now = times.now();
        let sql = format!(
            "update lease set expires_at = {now} \
             where name = $1 and token = $2 and expires_at > {now}"
        );
        self.db.exec(&sql, times.params).await.map(drop)
    }

    /// Within a transaction: goes on only while the lease is held, and keeps it from being taken until the commit.
    ///
    /// # Errors
    /// [`LeaseError::Lost`]: roll back.
    pub async fn guard(&self, tx: &impl Query, lease: &Lease) -> Result<(), LeaseError> {
        let mut times = self.times(params![lease.name.as_str(), lease.token]);
        let now = times.now();
        let sql = format!(
            "select 1 from lease where name = $1 and token = $2 and expires_at > {now} for share"
        );
        match tx.opt(&sql, times.params).await? {
            Some(_) => Ok(()),
            None => Err(LeaseError::Lost(lease.name.clone())),
        }
    }

    /// Runs `work` whenever and as long as this process holds the lease, until told to stop.
    ///
    /// The token given to `work` is cancelled when the lease is lost or could not be renewed in time, and at the
    /// stop; `work` must then return soon.
    pub async fn hold<F, W>(&self, name: &str, ttl: Duration, stop: &CancellationToken, work: F)
    where
        F: Fn(Lease, CancellationToken) -> W,
        W: Future<Output = ()>,
    {
        while !stop.is_cancelled() {
            match self.take(name, ttl).await {
                Ok(Some(lease)) if lease.is_over(ttl) => {
                    warn!(lease = name, "a lease was over when its holder heard of it");
                    self.give_back(&lease).await;
                }
                Ok(Some(lease)) => self.serve(&lease, ttl, stop, &work).await,
                Ok(None) => {}
                Err(error) => warn!(lease = name, %error, "a lease cannot be taken"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(ttl / TRIES_PER_TTL) => {}
            }
        }
    }

    async fn serve<F, W>(&self, lease: &Lease, ttl: Duration, stop: &CancellationToken, work: &F)
    where
        F: Fn(Lease, CancellationToken) -> W,
        W: Future<Output = ()>,
    {
        info!(lease = lease.name, token = lease.token, "lease taken");
        let held = stop.child_token();
        let mut work = std::pin::pin!(work(lease.clone(), held.clone()));
        tokio::select! {
            // The lease first: after a pause it may be somebody else's.
            biased;
            () = self.keep(lease, ttl) => {
                warn!(lease = lease.name, token = lease.token, "lease lost");
                held.cancel();
                work.await;
            }
            () = &mut work => {}
        }
        self.give_back(lease).await;
    }

    async fn give_back(&self, lease: &Lease) {
        if let Err(error) = self.release(lease).await {
            warn!(lease = lease.name, %error, "a lease could not be given back and will expire");
        }
    }

    /// Renews until the lease is lost, or was not renewed for its whole time.
    pub(crate) async fn keep(&self, lease: &Lease, ttl: Duration) {
        let mut end = lease.asked_at + ttl;
        while Instant::now() < end {
            tokio::time::sleep_until(end.min(Instant::now() + ttl / TRIES_PER_TTL)).await;
            let asked = Instant::now();
            match tokio::time::timeout_at(end, self.renew(lease, ttl)).await {
                Ok(Ok(true)) => end = asked + ttl,
                Ok(Ok(false)) => return,
                Ok(Err(error)) => warn!(lease = lease.name, %error, "a lease was not renewed"),
                Err(_) => {}
            }
        }
    }

    fn times(&self, params: Params) -> Times {
        let engine = self.db.engine();
        Times { engine, params }
    }
}

/// Times in a statement's text: the server's on PostgreSQL, this process's on SQLite.
struct Times {
    engine: Engine,
    /// The statement's; those that its times need come after the others.
    params: Params,
}

impl Times {
    fn now(&mut self) -> String {
        match self.engine {
            Engine::Postgres => "clock_timestamp()".to_owned(),
            Engine::Sqlite => self.after(Duration::ZERO),
        }
    }

    /// An expression for the time so long from now.
    fn after(&mut self, span: Duration) -> String {
        let number = self.params.len() + 1;
        match self.engine {
            Engine::Postgres => {
                self.params.extend(params![span.as_secs_f64()]);
                format!("clock_timestamp() + ${number} * interval '1 second'")
            }
            Engine::Sqlite => {
                let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
                let at = clock::now().saturating_add(span);
                self.params.extend(params![at.unwrap_or(Timestamp::MAX)]);
                format!("${number}")
            }
        }
    }
}
