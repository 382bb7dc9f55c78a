//! What the tests share: accounts whose balances are summed up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::json;
use stanchion_eventsourcing::{
    Append, EventLog, Expected, Filter, Metadata, NewEvent, Position, Projection, ProjectionError,
    Recorded, StreamId,
};
use stanchion_runtime::id;
use stanchion_sql::{Db, Migrations, Mode, Projector, SqlLog, Tx, migrate, params};

use crate::support::databases;

/// Long enough for any machine; no test waits for it to pass.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Sums up an account's cents and counts its entries.
#[derive(Clone, Default)]
pub(crate) struct Balances {
    pub(crate) queued: bool,
    /// Folds a batch in memory.
    pub(crate) folded: bool,
    pub(crate) version: u32,
    pub(crate) knobs: Arc<Knobs>,
}

/// What a test turns while a projection runs.
#[derive(Default)]
pub(crate) struct Knobs {
    /// Negative amounts cannot be applied.
    pub(crate) poisoned: AtomicBool,
    /// They panic.
    pub(crate) panics: AtomicBool,
    /// Replayed entries wait for ever from this many on; 0 never.
    pub(crate) replay_stops_at: AtomicUsize,
    /// Happens once, when so many entries were replayed.
    pub(crate) meanwhile: Mutex<Option<(usize, BoxFuture<'static, ()>)>>,
    pub(crate) live: AtomicUsize,
    pub(crate) replayed: AtomicUsize,
}

const UPSERT: &str = "on conflict (account) do update set \
                      cents = balances.cents + excluded.cents, n = balances.n + excluded.n";

impl Balances {
    async fn look(&self, tx: &Tx, event: &Recorded) -> Result<i64, ProjectionError> {
        let knobs = &self.knobs;
        let cents = event.data.value().unwrap()["cents"]
            .as_i64()
            .unwrap_or_default();
        if tx.is_replay() {
            let replayed = knobs.replayed.fetch_add(1, Ordering::SeqCst) + 1;
            let due = knobs.meanwhile.lock().take_if(|(at, _)| *at == replayed);
            if let Some((_, meanwhile)) = due {
                meanwhile.await;
            }
            if replayed == knobs.replay_stops_at.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
        } else {
            knobs.live.fetch_add(1, Ordering::SeqCst);
        }
        assert!(
            cents >= 0 || !knobs.panics.load(Ordering::SeqCst),
            "negative"
        );
        if cents < 0 && knobs.poisoned.load(Ordering::SeqCst) {
            return Err(ProjectionError::Poison("negative".into()));
        }
        Ok(cents)
    }
}

#[async_trait]
impl Projection<Tx> for Balances {
    fn name(&self) -> &'static str {
        "balances"
    }

    fn filter(&self) -> Filter {
        Filter::category("account")
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn tables(&self) -> &'static [&'static str] {
        &["balances"]
    }

    async fn apply(&self, tx: &mut Tx, event: &Recorded) -> Result<(), ProjectionError> {
        let cents = self.look(tx, event).await?;
        let sql = format!("insert into balances (account, cents, n) values ($1, $2, 1) {UPSERT}");
        let params = params![event.stream.id(), cents];
        if self.queued {
            tx.queue(&sql, params);
        } else {
            tx.exec(&sql, params).await?;
        }
        Ok(())
    }

    async fn apply_batch(&self, tx: &mut Tx, events: &[Recorded]) -> Result<(), ProjectionError> {
        if !self.folded {
            for event in events {
                self.apply(tx, event).await?;
            }
            return Ok(());
        }
        let mut sums = std::collections::BTreeMap::<&str, (i64, i64)>::new();
        for event in events {
            let cents = self.look(tx, event).await?;
            let sum = sums.entry(event.stream.id()).or_default();
            *sum = (sum.0 + cents, sum.1 + 1);
        }
        let rows = sums
            .into_iter()
            .map(|(account, (cents, n))| params![account, cents, n]);
        let insert = "insert into balances (account, cents, n) values";
        tx.queue_rows(insert, rows.collect(), UPSERT);
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        tx.exec("delete from balances", params![]).await?;
        Ok(())
    }
}

pub(crate) const BALANCES: &str = "\
    create table balances (account text primary key, cents bigint not null check (cents < 1000000), n bigint not null);
    create index balances_by_cents on balances (cents)";

/// A store of each kind with the table and a log.
pub(crate) async fn stores() -> Vec<(Db, Arc<dyn EventLog>)> {
    let balances = Migrations::new("accounts").with(1, "balances", BALANCES, "drop table balances");
    let mut all = Vec::new();
    for db in databases().await {
        migrate(&db, std::slice::from_ref(&balances), Mode::Auto)
            .await
            .unwrap();
        let log: Arc<dyn EventLog> = Arc::new(SqlLog::open(db.clone()).await.unwrap());
        all.push((db, log));
    }
    all
}

pub(crate) fn booked(category: &str, account: &str, cents: &[i64]) -> Append {
    let event = |cents: &i64| NewEvent {
        id: id::new_v7(),
        kind: "booked".into(),
        data: json!({ "cents": cents }).into(),
    };
    Append {
        stream: StreamId::new(category, account),
        expected: Expected::Any,
        events: cents.iter().map(event).collect(),
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    }
}

pub(crate) async fn book(
    log: &Arc<dyn EventLog>,
    category: &str,
    account: &str,
    cents: i64,
) -> Position {
    let append = booked(category, account, &[cents]);
    log.append(append).await.unwrap().position
}

/// A projector that halts at negative amounts until the knob is turned.
pub(crate) fn projector(db: &Db, log: &Arc<dyn EventLog>, queued: bool) -> (Projector, Arc<Knobs>) {
    let balances = Balances {
        queued,
        ..Balances::default()
    };
    balances.knobs.poisoned.store(true, Ordering::SeqCst);
    let knobs = Arc::clone(&balances.knobs);
    let projector = Projector::new(db.clone(), Arc::clone(log), balances);
    (projector, knobs)
}

/// The same, not failing at anything.
pub(crate) fn sound(db: &Db, log: &Arc<dyn EventLog>) -> (Projector, Arc<Knobs>) {
    let (projector, knobs) = projector(db, log, true);
    knobs.poisoned.store(false, Ordering::SeqCst);
    (projector, knobs)
}

pub(crate) async fn balance(db: &Db, account: &str) -> (i64, i64) {
    let sql = "select cents, n from balances where account = $1";
    let row = db.opt(sql, params![account]).await.unwrap();
    row.map_or((0, 0), |row| (row.get(0).unwrap(), row.get(1).unwrap()))
}

/// Looks until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let looked = tokio::time::timeout(LONG, async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(looked.await.is_ok(), "never: {what}");
}
