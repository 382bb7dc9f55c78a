//! A projection of balances, caught up from the start of a full log; and the same with one transaction an event.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use load::{Job, Report};
use serde::Deserialize;
use serde_json::json;
use stanchion_eventsourcing::{EventLog, Filter, Position, Projection, ProjectionError, Recorded};
use stanchion_sql::{Db, Engine, Projector, Tx, params};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::store;

/// The longest replay.
const REPLAY_MAX: Duration = Duration::from_secs(300);
/// Entries that the transaction-an-event way reads at once: reading is not what it is slow at.
const PAGE: usize = 1_000;

const TABLE: &str = "create table balance (account text primary key, cents bigint not null, events bigint not null)";
const UPSERT: &str = "insert into balance (account, cents, events) values ($1, $2, $3) \
                      on conflict (account) do update set cents = balance.cents + excluded.cents, \
                      events = balance.events + excluded.events";
const UPSERT_MANY: &str = "insert into balance (account, cents, events) \
                           select account, cents, events from json_to_recordset($1) as one (account text, cents bigint, events bigint) \
                           on conflict (account) do update set cents = balance.cents + excluded.cents, \
                           events = balance.events + excluded.events";
const CHECKPOINT: &str = "create table follower (one bigint primary key, position bigint not null)";

pub async fn run(job: &Job) -> Report {
    let (db, log) = full(job).await;
    let balances = Balances {
        folded: job.case == "project-folded",
    };
    let head = log.head().await.expect("a head");
    let projector = Projector::new(db.clone(), log, balances);
    let stop = CancellationToken::new();
    let begun = Instant::now();
    let following = tokio::spawn(projector.clone().run(stop.clone()));
    let there = projector.wait_for(head, begun + REPLAY_MAX).await;
    there.expect("the projection catches up");
    let took = begun.elapsed();
    stop.cancel();
    following.await.expect("the projector ends");
    check(&db, job.events).await;
    Report::rate(job.events as u64, took)
}

pub async fn one_by_one(job: &Job) -> Report {
    let (db, log) = full(job).await;
    db.script(CHECKPOINT).await.expect("the table is made");
    let (begun, mut events, mut at) = (Instant::now(), 0, Position(0));
    'pages: loop {
        let page = log.read(at, &Filter::all(), PAGE).await.expect("a page");
        for event in &page {
            if begun.elapsed() >= job.seconds {
                break 'pages;
            }
            let tx = db.begin();
            let booked = booked(event);
            tx.queue(UPSERT, params![booked.account_id, booked.amount_cents, 1]);
            let moved = "insert into follower values (1, $1) on conflict (one) do update set position = excluded.position";
            tx.queue(moved, params![event.position]);
            tx.commit().await.expect("a commit");
            events += 1;
        }
        let Some(last) = page.last() else { break };
        at = last.position;
    }
    Report::rate(events, begun.elapsed())
}

async fn full(job: &Job) -> (Db, Arc<dyn EventLog>) {
    let (db, log) = store::log(job).await;
    db.script(TABLE).await.expect("the table is made");
    store::fill(&log, job).await;
    (db, log)
}

/// Every event is in the rows once.
async fn check(db: &Db, events: usize) {
    let sql = "select cast(sum(events) as bigint) from balance";
    let row = db.one(sql, params![]).await.expect("a row");
    let counted: i64 = row.get(0).expect("a sum");
    assert_eq!(
        counted, events as i64,
        "not every event is in the rows once"
    );
}

struct Balances {
    folded: bool,
}

#[async_trait]
impl Projection<Tx> for Balances {
    fn name(&self) -> &'static str {
        "balances"
    }

    fn filter(&self) -> Filter {
        Filter::all()
    }

    fn tables(&self) -> &'static [&'static str] {
        &["balance"]
    }

    async fn apply(&self, tx: &mut Tx, event: &Recorded) -> Result<(), ProjectionError> {
        let booked = booked(event);
        tx.queue(UPSERT, params![booked.account_id, booked.amount_cents, 1]);
        Ok(())
    }

    async fn apply_batch(&self, tx: &mut Tx, events: &[Recorded]) -> Result<(), ProjectionError> {
        if !self.folded {
            for event in events {
                self.apply(tx, event).await?;
            }
            return Ok(());
        }
        let mut sums = BTreeMap::<String, (i64, i64)>::new();
        for event in events {
            let booked = booked(event);
            let (sum, count) = sums.entry(booked.account_id).or_default();
            *sum += booked.amount_cents;
            *count += 1;
        }
        if tx.db().engine() == Engine::Postgres {
            let rows = sums.iter().map(|(account, (cents, events))| json!({"account": account, "cents": cents, "events": events}));
            let rows: serde_json::Value = rows.collect();
            tx.queue(UPSERT_MANY, params![rows]);
            return Ok(());
        }
        for (account, (cents, events)) in sums {
            tx.queue(UPSERT, params![account, cents, events]);
        }
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        tx.exec("delete from balance", params![]).await?;
        Ok(())
    }
}

/// What the projection reads of an entry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Booked {
    account_id: String,
    amount_cents: i64,
}

fn booked(event: &Recorded) -> Booked {
    event.data.decode().expect("a booking")
}
