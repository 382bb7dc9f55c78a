//! The bare log, and the repository that users call.

use std::sync::Arc;

use load::{Job, Outcome, Report, Writer};
use serde::{Deserialize, Serialize};
use stanchion_eventsourcing::{Aggregate, EventLog, Metadata, Repository};

use crate::store;

pub async fn bare(job: &Job) -> Report {
    let (_db, log) = store::log(job).await;
    let appender = |_| Appender {
        log: log.clone(),
        batch: job.batch(),
        metadata: Metadata::new(None),
    };
    load::write(job, (0..job.writers).map(appender).collect()).await
}

struct Appender {
    log: Arc<dyn EventLog>,
    batch: usize,
    metadata: Metadata,
}

impl Writer for Appender {
    async fn append(&mut self, stream: usize, known: Option<i64>) -> Outcome {
        let events = store::events(stream, self.batch);
        let append = store::append(stream, known, events, &self.metadata);
        let appended = self.log.append(append).await.expect("an append");
        Outcome::Appended(appended.version.expect("events").0)
    }
}

pub async fn repository(job: &Job) -> Report {
    let (_db, log) = store::log(job).await;
    let repository = Arc::new(Repository::<Account>::new(log));
    let executor = |_| Executor {
        repository: repository.clone(),
        metadata: Metadata::new(None),
    };
    load::write(job, (0..job.writers).map(executor).collect()).await
}

struct Executor {
    repository: Arc<Repository<Account>>,
    metadata: Metadata,
}

impl Writer for Executor {
    async fn append(&mut self, stream: usize, _: Option<i64>) -> Outcome {
        let id = format!("{stream:05}");
        let booking = Booking::of(stream);
        let executed = self.repository.execute(&id, &booking, &self.metadata).await;
        Outcome::Appended(executed.expect("an execution").version.expect("events").0)
    }
}

/// An account that only counts.
#[derive(Clone, Debug, Default)]
struct Account {
    balance: i64,
}

/// The command, and what the event says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Booking {
    account_id: String,
    amount_cents: i64,
    currency: String,
    reason: String,
    booked_at: String,
    reference: String,
    note: String,
}

impl Booking {
    fn of(stream: usize) -> Self {
        Self {
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

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum AccountEvent {
    MoneyBooked(Booking),
}

#[derive(Debug, thiserror::Error)]
#[error("the account would overflow")]
struct Overflow;

impl Aggregate for Account {
    const CATEGORY: &'static str = store::CATEGORY;
    type Command = Booking;
    type Event = AccountEvent;
    type Refusal = Overflow;

    fn decide(&self, booking: &Booking) -> Result<Vec<AccountEvent>, Overflow> {
        self.balance
            .checked_add(booking.amount_cents)
            .ok_or(Overflow)?;
        Ok(vec![AccountEvent::MoneyBooked(booking.clone())])
    }

    fn evolve(&mut self, AccountEvent::MoneyBooked(booking): &AccountEvent) {
        self.balance += booking.amount_cents;
    }
}
