//! Snapshots as rows: the newest stays, and what is of no use is told from what is.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use stanchion_eventsourcing::{KeptState, Snapshots, StreamId, Version};
use stanchion_runtime::id;
use stanchion_sql::{SqlSnapshots, params};
use support::migrated;

/// Whoever reads it finds that it fits nothing, and has it discarded like any other.
#[tokio::test]
async fn a_snapshot_that_is_no_json_is_one_of_nothing() {
    for db in migrated().await {
        let snapshots = SqlSnapshots::new(db.clone());
        let stream = StreamId::new("customer", "1");
        let kept = KeptState {
            version: Version(9),
            event: id::new_v7(),
            schema: 1,
            state: json!({"orders": 9}),
        };
        snapshots.keep(&stream, &kept).await.unwrap();
        let sql = "update snapshot set data = $1";
        db.exec(sql, params!["no json {"]).await.unwrap();
        let read = snapshots.load(&stream).await.unwrap().unwrap();
        assert!(read.state.is_null() && read.event.is_nil(), "{read:?}");
        snapshots.discard(&stream, read.version).await.unwrap();
        assert!(snapshots.load(&stream).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn the_newest_snapshot_is_kept_until_it_is_discarded() {
    for db in migrated().await {
        let snapshots = SqlSnapshots::new(db);
        let stream = StreamId::new("customer", "1");
        let state = |version, schema| KeptState {
            version: Version(version),
            event: id::new_v7(),
            schema,
            state: json!({"orders": version}),
        };
        let mut kept = state(9, 1);
        for (given, replaces) in [
            (kept.clone(), true),
            (state(4, 1), false),
            (state(12, 1), true),
            (state(3, 2), true),
        ] {
            snapshots.keep(&stream, &given).await.unwrap();
            if replaces {
                kept = given;
            }
            assert_eq!(snapshots.load(&stream).await.unwrap().unwrap(), kept);
        }
        snapshots.discard(&stream, Version(12)).await.unwrap();
        assert!(snapshots.load(&stream).await.unwrap().is_some());
        snapshots.discard(&stream, Version(3)).await.unwrap();
        assert!(snapshots.load(&stream).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn only_the_snapshots_that_name_a_subject_are_forgotten() {
    for db in migrated().await {
        let snapshots = SqlSnapshots::new(db);
        for subject in ["a_b", "axb", "a\"b"] {
            let kept = KeptState {
                version: Version(1),
                event: id::new_v7(),
                schema: 1,
                state: json!({"name": {"subject": subject, "cipher": "AQ"}}),
            };
            let stream = StreamId::new("customer", subject);
            snapshots.keep(&stream, &kept).await.unwrap();
        }
        assert_eq!(snapshots.forget_subject("a_b").await.unwrap(), 1);
        assert_eq!(snapshots.forget_subject("a\"b").await.unwrap(), 1);
        assert_eq!(snapshots.forget_subject("unheard of").await.unwrap(), 0);
        let left = snapshots.load(&StreamId::new("customer", "axb")).await;
        assert!(left.unwrap().is_some());
    }
}
