//! Rows of consumers as versions before this one wrote them.

use jiff::SignedDuration;
use stanchion_messaging::{
    AfterLastAttempt, ConsumerStore, LogId, Message, Metadata, Origin, Parked, ParkedNote,
    ParkedState, Position,
};
use stanchion_sql::{SqlConsumerStore, params};

use crate::support::migrated;

/// What a consumer put aside.
fn parked(state: ParkedState) -> Parked {
    let now = stanchion_runtime::clock::now();
    Parked {
        consumer: "fulfilment".into(),
        message: Message {
            id: stanchion_runtime::id::new_v7(),
            contract: "orders.order_placed.v2".into(),
            key: "a".into(),
            payload: serde_json::json!({ "contract": "orders.order_placed.v1" }),
            origin: Origin {
                log: LogId(stanchion_runtime::id::new_v7()),
                position: Position(1),
            },
            metadata: Metadata::new(None),
            at: now,
        },
        state,
        attempts: 1,
        under_way: false,
        note: None,
        due_at: now,
        reason: "no handler".into(),
        parked_at: now,
    }
}

/// Of rows that a version without the column of contracts wrote.
#[tokio::test]
async fn an_unknown_message_is_found_that_an_older_version_put_aside() {
    for db in migrated().await {
        let store = SqlConsumerStore::new(db.clone());
        store.park(&parked(ParkedState::Unknown)).await.unwrap();
        let older = db.exec("update parked set contract = null", params![]);
        assert_eq!(older.await.unwrap(), 1);
        let after = AfterLastAttempt::KeyWaits;
        let known = async |contract: &str| {
            let known = store.unknown("fulfilment", &[contract], after, 10).await;
            known.unwrap().len()
        };
        assert_eq!(known("orders.order_placed.v1").await, 0);
        assert_eq!(known("orders.order_placed.v2").await, 1);
    }
}

/// A version without the column runs beside this one: it has the state of an attempt in the reason, and leaves the column as it is.
#[tokio::test]
async fn a_retry_that_an_older_version_has_begun_or_ended_is_read_so() {
    for db in migrated().await {
        let store = SqlConsumerStore::new(db.clone());
        let begun = Parked {
            under_way: true,
            ..parked(ParkedState::Retry)
        };
        let is_under_way = async || store.find(begun.message.id).await.unwrap()[0].under_way;
        store.park(&begun).await.unwrap();
        assert!(is_under_way().await);
        let older = async |state: &str, seconds: i64, reason: &str| {
            let sql = "update parked set state = $1, attempts = 2, due_at = $2, reason = $3";
            let due_at = begun.due_at + SignedDuration::from_secs(seconds);
            let updated = db.exec(sql, params![state, due_at, reason]).await;
            assert_eq!(updated.unwrap(), 1);
        };
        older("retry", 1, "failed: out of luck").await;
        assert!(!is_under_way().await);
        older(
            "retry",
            2,
            "an attempt is under way, or ended with its process",
        )
        .await;
        assert!(is_under_way().await);
        older("dead", 0, "failed: out of luck").await;
        assert!(!is_under_way().await);
        older("retry", 3, "later: no luck yet").await;
        assert!(!is_under_way().await);
    }
}

/// A version without the column of notes runs beside this one: it has them in the reason, inserts rows without one, and leaves
/// the column of others as it is.
#[tokio::test]
async fn a_letter_that_was_announced_before_is_known_as_such_whichever_version_wrote_it() {
    const REASON: &str = "announced before and refused now: too big";
    let before = Some(ParkedNote::AnnouncedBefore);
    for db in migrated().await {
        let store = SqlConsumerStore::new(db.clone());
        let of = async |letter: &Parked| store.find(letter.message.id).await.unwrap().remove(0);
        let letter = |note, reason: &str| Parked {
            note,
            reason: reason.into(),
            ..parked(ParkedState::Dead)
        };
        let older = async |sql: &str, letter: &Parked| {
            let updated = db.exec(sql, params![letter.message.id]).await;
            assert_eq!(updated.unwrap(), 1);
        };
        let forgets = "update parked set note = null where message_id = $1";
        // Inserted by the older one; this one says something else since.
        let [theirs, plain] = [letter(None, REASON), letter(None, "too big")];
        for one in [&theirs, &plain] {
            store.park(one).await.unwrap();
            older(forgets, one).await;
        }
        assert_eq!(
            (of(&theirs).await.note, of(&plain).await.note),
            (before, None)
        );
        for one in [&theirs, &plain] {
            let again = Parked {
                reason: "still too big".into(),
                ..of(one).await
            };
            assert!(store.park_again(&again).await.unwrap());
        }
        assert_eq!(
            (of(&theirs).await.note, of(&plain).await.note),
            (before, None)
        );
        // Inserted by this one, and put back by the older one.
        let ours = letter(before, REASON);
        store.park(&ours).await.unwrap();
        let put_back = "update parked set attempts = 2, reason = 'announced before and refused now: still' where message_id = $1";
        older(put_back, &ours).await;
        assert_eq!(of(&ours).await.note, before);
        // Of this one nobody takes a reason for a note, nor a note that only a later one knows for one of its own.
        let alike = letter(None, REASON);
        store.park(&alike).await.unwrap();
        assert_eq!(of(&alike).await.note, None);
        older(
            "update parked set note = 'of_later' where message_id = $1",
            &alike,
        )
        .await;
        assert_eq!(of(&alike).await.note, None);
    }
}

/// The same of what was put aside before its first attempt: its reason is another one after that.
#[tokio::test]
async fn a_suspect_of_an_older_version_stays_one_after_an_attempt() {
    for db in migrated().await {
        let store = SqlConsumerStore::new(db.clone());
        let theirs = Parked {
            reason: "put aside before its first attempt: processes ended again and again".into(),
            ..parked(ParkedState::Retry)
        };
        store.wait_behind(&theirs).await.unwrap();
        let forgets = db.exec("update parked set note = null", params![]);
        assert_eq!(forgets.await.unwrap(), 1);
        let read = store.find(theirs.message.id).await.unwrap().remove(0);
        assert_eq!(read.note, Some(ParkedNote::Suspect));
        let failed = Parked {
            reason: "failed: out of luck".into(),
            ..read
        };
        assert!(store.park_again(&failed).await.unwrap());
        assert_eq!(store.find(theirs.message.id).await.unwrap(), [failed]);
    }
}
