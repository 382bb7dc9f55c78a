//! The two contexts: who announces, and who consumes, each with a schema of its own.

use std::sync::Arc;

use load::{Job, STREAMS};
use serde::{Deserialize, Serialize};
use stanchion_eventsourcing::{
    Announcement, Append, EventLog, Expected, Metadata, NewEvent, Relay, StreamId,
};
use stanchion_messaging::{Contract, InboxEntry};
use stanchion_sql::{DatabaseSettings, DatabaseUrl, Db, Mode, SqlLog, migrate};
use uuid::Uuid;

/// What is announced and consumed: about 300 bytes of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MoneyBooked {
    pub number: usize,
    pub account_id: String,
    pub amount_cents: i64,
    pub currency: String,
    pub reason: String,
    pub booked_at: String,
    pub reference: String,
    pub note: String,
}

/// What the announcing context's log has.
#[derive(Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum AccountEvent {
    MoneyBooked(MoneyBooked),
}

impl Contract for MoneyBooked {
    const NAME: &'static str = "bench.money_booked.v1";

    fn key(&self) -> String {
        self.account_id.clone()
    }
}

impl MoneyBooked {
    /// One of 10,000 accounts after the other.
    pub fn of(number: usize) -> Self {
        let stream = number.wrapping_mul(7_919) % STREAMS;
        Self {
            number,
            account_id: load::name(stream),
            amount_cents: 4200 + stream as i64,
            currency: "EUR".into(),
            reason: "invoice".into(),
            booked_at: "2026-11-20T12:00:00Z".into(),
            reference: format!("INV-2026-{stream:06}"),
            note: "n".repeat(128),
        }
    }
}

pub async fn context(job: &Job, module: &'static str) -> (Db, Arc<dyn EventLog>) {
    let url: DatabaseUrl = job.url.parse().expect("a database URL");
    let settings = DatabaseSettings::default();
    let db = Db::open(&url, module, &settings).await;
    let db = db.expect("the database is there");
    migrate(&db, &[], Mode::Auto)
        .await
        .expect("the tables are made");
    let log = SqlLog::open(db.clone()).await.expect("the log opens");
    (db, Arc::new(log))
}

pub async fn append(log: &dyn EventLog, booked: &MoneyBooked, inbox: Option<InboxEntry>) {
    let event = NewEvent {
        id: Uuid::now_v7(),
        kind: "money_booked".to_owned(),
        data: serde_json::to_value(booked)
            .expect("it serialises")
            .into(),
    };
    let append = Append {
        stream: StreamId::new("account", booked.account_id.clone()),
        expected: Expected::Any,
        events: vec![event],
        inbox,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    };
    log.append(append).await.expect("an append");
}

pub fn relay(log: Arc<dyn EventLog>) -> Relay {
    Relay::new("source", log, |recorded| {
        let AccountEvent::MoneyBooked(booked) = recorded.decode()?;
        Ok(vec![Announcement::of(&booked)])
    })
}
