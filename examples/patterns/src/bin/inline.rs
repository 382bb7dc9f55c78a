//! An inline projection: rows that have an entry as soon as its append is acknowledged, or refuse it.
//!
//! The usual defect: a balance is checked in a table that a job brings up to date some time later, and two
//! withdrawals pass at once; or the table is written beside the event, in one place of three. Here whoever
//! appends applies, in the same transaction, wherever in the program the append comes from.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stanchion::eventsourcing::{
    Append, AppendError, EventLog, Expected, Filter, Metadata, NewEvent, Projection,
    ProjectionError, Recorded, StreamId,
};
use stanchion::sql::{Db, Migrations, Mode, Projector, SqlLog, Tx, UnitOfWork, migrate, params};

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum AccountEvent {
    Booked { cents: i64 },
}

/// The balance of each account; the table refuses one below zero.
struct Balances;

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
        let account = recorded.stream.id();
        tx.queue(
            "insert into balances (account, cents) values ($1, 0) on conflict (account) do nothing",
            params![account],
        );
        tx.queue(
            "update balances set cents = cents + $2 where account = $1",
            params![account, cents],
        );
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
    let projector = Projector::new(db.clone(), Arc::clone(&log), Balances).inline()?;
    projector.catch_up().await?;

    let appended = log.append(booked("alice", 500)).await?;
    println!(
        "booked at {}: {} cents",
        appended.position,
        balance(&db).await?
    );
    assert_eq!(balance(&db).await?, 500);

    let refused = log.append(booked("alice", -700)).await;
    assert!(matches!(refused, Err(AppendError::Invalid(_))));
    println!("refused, and not in the log: {}", log.head().await?);
    assert_eq!((log.head().await?.0, balance(&db).await?), (1, 500));

    // A unit of work as well: its own rows, the event and the projection's rows, or nothing of it.
    let mut work = UnitOfWork::begin(&db);
    work.append(booked("alice", -200));
    work.commit().await?;
    assert_eq!(balance(&db).await?, 300);
    assert!(projector.verify().await?.holds());
    Ok(())
}

fn booked(account: &str, cents: i64) -> Append {
    // One of its own types always serialises.
    let event = NewEvent::of(&AccountEvent::Booked { cents }).into_iter();
    Append {
        stream: StreamId::new("account", account),
        expected: Expected::Any,
        events: event.collect(),
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    }
}

async fn balance(db: &Db) -> anyhow::Result<i64> {
    let sql = "select cents from balances where account = 'alice'";
    Ok(db.one(sql, params![]).await?.get(0)?)
}

fn schema() -> Migrations {
    Migrations::new("accounts").with(
        1,
        "balances",
        "create table balances (account text primary key, cents bigint not null check (cents >= 0))",
        "drop table balances",
    )
}
