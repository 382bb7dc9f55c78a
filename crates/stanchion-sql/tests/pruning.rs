//! Keys of messages are forgotten once their consumers are past them, and not before.
#![allow(clippy::unwrap_used)]

mod support;

use jiff::{SignedDuration, Timestamp};
use stanchion_eventsourcing::Metadata;
use stanchion_messaging::{
    AfterLastAttempt, ConsumerStore, Contract, Inbox, InboxEntry, InboxKey, LogId, Mark, Message,
    MessageOrigin, Origin, Parked, ParkedState, Place, Position,
};
use stanchion_sql::{Db, Occurrence, SqlConsumerStore, SqlInbox, UnitOfWork, params};
use uuid::Uuid;

const LOG: LogId = LogId(Uuid::from_u128(7));

fn message(position: i64) -> Message {
    Message {
        id: Uuid::from_u128(position as u128),
        contract: "orders.order_placed.v1".into(),
        key: "a".into(),
        payload: serde_json::Value::Null,
        origin: Origin {
            log: LOG,
            position: Position(position),
        },
        metadata: Metadata::new(None),
        at: stanchion_runtime::clock::now(),
    }
}

/// Commits the key of a message, as a handler does with its effect.
async fn handled(db: &Db, consumer: &str, position: i64) {
    let message = message(position);
    let entry = InboxEntry {
        key: InboxKey::message(consumer, message.id, None),
        owner: None,
        answer: Some(MessageOrigin::of(&message).encode()),
    };
    let mut work = UnitOfWork::begin(db);
    work.settle(entry, &Metadata::new(None));
    work.commit().await.unwrap();
}

async fn kept(db: &Db) -> Vec<String> {
    let rows = db
        .query("select key from inbox order by key", params![])
        .await;
    rows.unwrap()
        .iter()
        .map(|row| row.get(0).unwrap())
        .collect()
}

fn key(consumer: &str, position: i64) -> String {
    let id = Uuid::from_u128(position as u128);
    InboxKey::message(consumer, id, None).as_str().to_owned()
}

fn later() -> Timestamp {
    stanchion_runtime::clock::now() + SignedDuration::from_hours(1)
}

#[tokio::test]
async fn what_a_consumer_is_past_is_forgotten_and_the_rest_stays() {
    for db in support::migrated().await {
        let (inbox, consumers) = (SqlInbox::new(db.clone()), SqlConsumerStore::new(db.clone()));
        for position in 1..=5 {
            handled(&db, "by-broker", position).await;
        }
        handled(&db, "by-log", 4).await;
        handled(&db, "by-log", 6).await;
        handled(&db, "of-old", 1).await;
        let mut work = UnitOfWork::begin(&db);
        let own = InboxKey::message("no-consumer", Uuid::from_u128(1), Some("part"));
        work.settle(InboxEntry::new(own.clone()), &Metadata::new(None));
        work.commit().await.unwrap();
        let origin = MessageOrigin::of(&message(1));
        let mark = Mark {
            log: LOG,
            partition: origin.partition,
            family: origin.family,
            position: Position(4),
            ahead: None,
        };
        consumers.settle("by-broker", &[mark]).await.unwrap();
        let place = Place {
            position: Position(5),
            event: None,
        };
        consumers.advance("by-log", LOG, place).await.unwrap();
        let now = stanchion_runtime::clock::now();
        let parked = Parked {
            consumer: "by-broker".into(),
            message: message(2),
            state: ParkedState::Dead,
            attempts: 20,
            under_way: false,
            note: None,
            due_at: now,
            reason: "late".into(),
            parked_at: now,
        };
        consumers.park(&parked).await.unwrap();

        let too_young = now - SignedDuration::from_hours(1);
        assert_eq!(inbox.prune_messages(too_young, 2).await.unwrap(), 0);
        assert_eq!(inbox.prune_messages(later(), 2).await.unwrap(), 4);
        let mut rest = vec![
            key("by-broker", 2),
            key("by-broker", 5),
            key("by-log", 6),
            own.as_str().to_owned(),
            key("of-old", 1),
        ];
        rest.sort();
        assert_eq!(kept(&db).await, rest);
        consumers
            .resolve("by-broker", parked.message.id)
            .await
            .unwrap();
        assert_eq!(inbox.prune_messages(later(), 1_000).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_consumer_may_have_slashes_in_its_name() {
    for db in support::migrated().await {
        let (inbox, consumers) = (SqlInbox::new(db.clone()), SqlConsumerStore::new(db.clone()));
        let place = Place {
            position: Position(5),
            event: None,
        };
        for name in ["orders/fulfilment", "consumer/consumer"] {
            handled(&db, name, 3).await;
            consumers.advance(name, LOG, place).await.unwrap();
        }
        assert_eq!(inbox.prune_messages(later(), 10).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn the_row_of_a_time_that_a_job_was_due_is_forgotten_as_those_of_messages_are() {
    for db in support::migrated().await {
        let (inbox, due_at) = (SqlInbox::new(db.clone()), stanchion_runtime::clock::now());
        let id = Uuid::from_u128(9);
        let mut work = UnitOfWork::begin(&db);
        let metadata = Metadata::new(None);
        work.settle(Occurrence { due_at, id }.inbox(), &metadata);
        work.commit().await.unwrap();
        let mut again = UnitOfWork::begin(&db);
        again.settle(Occurrence { due_at, id }.inbox(), &metadata);
        assert!(again.commit().await.is_err(), "it has its effect twice");
        let too_young = due_at - SignedDuration::from_hours(1);
        assert_eq!(inbox.prune_messages(too_young, 10).await.unwrap(), 0);
        assert_eq!(inbox.prune_messages(later(), 10).await.unwrap(), 1);
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Remind {
    order: String,
}

impl Contract for Remind {
    const NAME: &'static str = "orders.remind.v1";

    fn key(&self) -> String {
        self.order.clone()
    }
}

#[tokio::test]
async fn a_delayed_message_commits_with_what_asks_for_it_and_is_due_in_its_time() {
    for db in support::migrated().await {
        let consumers = SqlConsumerStore::new(db.clone());
        let start = stanchion_runtime::clock::now();
        let id = Uuid::from_u128(7);
        let delayed = |seconds| {
            let remind = Remind { order: "a".into() };
            let due_at = start + SignedDuration::from_secs(seconds);
            Parked::delayed("orders", &remind, id, due_at, &Metadata::new(None)).unwrap()
        };
        let rolled_back = UnitOfWork::begin(&db);
        SqlConsumerStore::queue_delayed(rolled_back.tx(), &delayed(10)).unwrap();
        drop(rolled_back);
        let work = UnitOfWork::begin(&db);
        SqlConsumerStore::queue_delayed(work.tx(), &delayed(60)).unwrap();
        work.commit().await.unwrap();
        // Asked for once more: it stays as it was.
        consumers.wait_behind(&delayed(5)).await.unwrap();
        let due = async |seconds| {
            let now = start + SignedDuration::from_secs(seconds);
            let due = consumers
                .due("orders", now, AfterLastAttempt::KeyWaits, 10)
                .await;
            due.unwrap().len()
        };
        assert_eq!((due(59).await, due(60).await), (0, 1));
        let blocked = consumers
            .blocked("orders", &["a"], AfterLastAttempt::KeyWaits)
            .await;
        assert!(
            blocked.unwrap().is_empty(),
            "it makes its contract's key wait"
        );
    }
}
