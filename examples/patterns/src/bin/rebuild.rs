//! Projections under way: an entry that cannot be applied, a rebuild beside the live rows, a comparison.
//!
//! The usual defects: a bad entry is logged and skipped, and the sum is wrong for ever; a rebuild empties
//! the table first, and every page is blank until it is through. Here the projection halts or puts the
//! entry aside with its reason, readers keep the old rows until the new ones are whole, and whether rows
//! are what the log says can be asked at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stanchion::eventsourcing::{
    Append, EventLog, Expected, Filter, Metadata, NewEvent, Position, Projection, ProjectionError,
    Recorded, StreamId,
};
use stanchion::runtime::task;
use stanchion::sql::{Db, Migrations, Mode, Projector, SqlLog, Tx, migrate, params};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum AccountEvent {
    Booked { cents: i64 },
}

/// The balance of each account.
#[derive(Clone, Default)]
struct Balances {
    /// Today's code does not know what a negative amount is; the next release does.
    knows_debits: Arc<AtomicBool>,
}

#[async_trait]
impl Projection<Tx> for Balances {
    fn name(&self) -> &'static str {
        "balances"
    }

    fn filter(&self) -> Filter {
        Filter::category("account")
    }

    fn tables(&self) -> &'static [&'static str] {
        &["balances"]
    }

    async fn apply(&self, tx: &mut Tx, recorded: &Recorded) -> Result<(), ProjectionError> {
        let AccountEvent::Booked { cents } = recorded.decode()?;
        if cents < 0 && !self.knows_debits.load(Ordering::Relaxed) {
            return Err(ProjectionError::Poison("a negative amount".into()));
        }
        tx.queue(
            "insert into balances (account, cents) values ($1, $2) \
             on conflict (account) do update set cents = balances.cents + excluded.cents",
            params![recorded.stream.id(), cents],
        );
        // Work for a mailer. A rebuild and a verification make the rows again, and no second mail.
        if !tx.is_replay() {
            let sql = "insert into mail (position, account) values ($1, $2)";
            tx.queue(sql, params![recorded.position, recorded.stream.id()]);
        }
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        tx.queue("delete from balances", params![]);
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let db = Db::memory("accounts")?;
    migrate(&db, &[schema()], Mode::Auto).await?;
    let log: Arc<dyn EventLog> = Arc::new(SqlLog::open(db.clone()).await?);
    for (account, cents) in [("ada", 500), ("bob", -100), ("ada", 200)] {
        book(&*log, account, cents).await?;
    }
    halted(&db, &log).await?;
    put_aside(&db, &log).await?;
    rebuilt(&db, &log).await
}

/// By default it stands before the entry, and whoever waits for the rows is told why.
async fn halted(db: &Db, log: &Arc<dyn EventLog>) -> anyhow::Result<()> {
    let projector = Projector::new(db.clone(), Arc::clone(log), Balances::default());
    let stop = CancellationToken::new();
    let running = task::spawn("balances", projector.clone().run(stop.clone()));
    let deadline = Instant::now() + Duration::from_secs(30);
    let behind = projector.wait_for(Position(3), deadline).await;
    let reason = behind.err().and_then(|behind| behind.halted);
    println!("{}", reason.as_deref().unwrap_or("not halted"));
    assert!(reason.is_some());
    assert_eq!(projector.position(), Position(1));
    stop.cancel();
    running.await?;
    Ok(())
}

/// Told to park, it goes on with everybody else's entries; a release that knows the entry has it tried again.
async fn put_aside(db: &Db, log: &Arc<dyn EventLog>) -> anyhow::Result<()> {
    let balances = Balances::default();
    let knows_debits = Arc::clone(&balances.knows_debits);
    let projector = Projector::new(db.clone(), Arc::clone(log), balances).parking_poison();
    projector.catch_up().await?;
    println!("parked: {}", projector.status().await?.parked);
    assert_eq!(projector.status().await?.parked, 1);

    knows_debits.store(true, Ordering::Relaxed);
    projector.retry_parked().await?;
    projector.catch_up().await?;
    assert_eq!(projector.status().await?.parked, 0);
    assert_eq!(balance(db, "bob").await?, -100);
    Ok(())
}

async fn rebuilt(db: &Db, log: &Arc<dyn EventLog>) -> anyhow::Result<()> {
    let balances = Balances::default();
    balances.knows_debits.store(true, Ordering::Relaxed);
    let projector = Projector::new(db.clone(), Arc::clone(log), balances);
    db.exec("update balances set cents = 999", params![])
        .await?;
    let verified = projector.verify().await?;
    println!("rows that differ: {}", verified.different);
    assert!(!verified.holds());

    projector.rebuild().await?;
    assert!(projector.verify().await?.holds());
    println!("rebuilt: ada has {}", balance(db, "ada").await?);
    assert_eq!(balance(db, "ada").await?, 700);
    let mails = db.one("select count(*) from mail", params![]).await?;
    println!("mails: {}", mails.get::<i64>(0)?);
    assert_eq!(mails.get::<i64>(0)?, 3);
    Ok(())
}

async fn book(log: &dyn EventLog, account: &str, cents: i64) -> anyhow::Result<()> {
    let append = Append {
        stream: StreamId::new("account", account),
        expected: Expected::Any,
        events: vec![NewEvent::of(&AccountEvent::Booked { cents })?],
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    };
    log.append(append).await?;
    Ok(())
}

async fn balance(db: &Db, account: &str) -> anyhow::Result<i64> {
    let sql = "select cents from balances where account = $1";
    Ok(db.one(sql, params![account]).await?.get(0)?)
}

fn schema() -> Migrations {
    Migrations::new("accounts").with(
        1,
        "balances",
        "create table balances (account text primary key, cents bigint not null);
         create table mail (position bigint primary key, account text not null);",
        "drop table mail; drop table balances;",
    )
}
