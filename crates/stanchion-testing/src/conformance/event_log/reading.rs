//! Reading: a stream, the log, a part of it; and hearing of what comes.

use std::time::Duration;

use serde_json::json;
use stanchion_eventsourcing::{Expected, Filter, Position, StreamId, Version};

use super::{Log, append, event, put, stream};
use crate::conformance::{Case, cases};

pub(super) const CASES: &[Case<Log>] = cases![
    a_stream_is_read_in_parts,
    a_stream_is_read_backward,
    the_log_is_read_by_category_and_in_parts,
    the_log_is_read_by_type,
    whoever_follows_is_told,
];

async fn a_stream_is_read_in_parts(log: Log) {
    let stream = stream("a");
    put(&log, &stream, 5).await;
    let versions = async |from, limit| -> Vec<i64> {
        let found = log
            .read_stream(&stream, Version(from), limit)
            .await
            .unwrap();
        found.iter().map(|event| event.version.0).collect()
    };
    assert_eq!(versions(0, 2).await, [0, 1]);
    assert_eq!(versions(2, 2).await, [2, 3]);
    assert_eq!(versions(4, 10).await, [4]);
    assert!(versions(5, 10).await.is_empty());
}

async fn a_stream_is_read_backward(log: Log) {
    let stream = stream("a");
    put(&log, &StreamId::new("order", "b"), 1).await;
    put(&log, &stream, 5).await;
    let versions = async |from: Option<i64>, limit| -> Vec<i64> {
        let from = from.map(Version);
        let found = log.read_stream_backward(&stream, from, limit).await;
        found.unwrap().iter().map(|event| event.version.0).collect()
    };
    assert_eq!(versions(None, 2).await, [4, 3]);
    assert_eq!(versions(Some(2), 10).await, [2, 1, 0]);
    assert_eq!(versions(Some(0), 10).await, [0]);
    assert_eq!(versions(Some(9), 1).await, [4], "beyond its end");
    assert!(versions(None, 0).await.is_empty());
    let nowhere = StreamId::new("order", "nowhere");
    let found = log.read_stream_backward(&nowhere, None, 10).await;
    assert!(found.unwrap().is_empty());
}

async fn the_log_is_read_by_type(log: Log) {
    for (n, kind) in ["placed", "paid", "sent", "placed", "paid"]
        .iter()
        .enumerate()
    {
        let category = ["order", "payment"][n % 2];
        let mut one = append(&StreamId::new(category, "1"), Expected::Any, 0);
        one.events = vec![event(kind, json!({}))];
        log.append(one).await.unwrap();
    }
    let positions = async |categories: &[&str], types: &[&str], after, limit| -> Vec<i64> {
        let owned = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect();
        let filter = Filter {
            categories: owned(categories),
            types: owned(types),
        };
        let found = log.read(Position(after), &filter, limit).await.unwrap();
        found.iter().map(|event| event.position.0).collect()
    };
    assert_eq!(positions(&[], &["paid"], 0, 10).await, [2, 5]);
    assert_eq!(positions(&[], &["placed", "sent"], 1, 10).await, [3, 4]);
    assert_eq!(positions(&[], &["placed", "sent"], 0, 2).await, [1, 3]);
    assert_eq!(positions(&["payment"], &["placed"], 0, 10).await, [4]);
    assert!(positions(&["payment"], &["sent"], 0, 10).await.is_empty());
}

async fn the_log_is_read_by_category_and_in_parts(log: Log) {
    for n in 0..6 {
        let category = ["order", "payment", "stock"][n % 3];
        put(&log, &StreamId::new(category, "1"), 1).await;
    }
    let positions = async |filter: &Filter, after, limit| -> Vec<i64> {
        let found = log.read(Position(after), filter, limit).await.unwrap();
        found.iter().map(|event| event.position.0).collect()
    };
    let payments = Filter::category("payment");
    let two = Filter {
        categories: vec!["order".into(), "stock".into()],
        ..Filter::default()
    };
    assert_eq!(positions(&payments, 0, 10).await, [2, 5]);
    assert_eq!(positions(&payments, 2, 10).await, [5]);
    assert_eq!(positions(&two, 0, 3).await, [1, 3, 4]);
    assert_eq!(positions(&Filter::all(), 4, 10).await, [5, 6]);
    assert!(positions(&Filter::category("none"), 0, 10).await.is_empty());
}

async fn whoever_follows_is_told(log: Log) {
    let mut changes = log.changes();
    let appended = put(&log, &stream("a"), 1).await;
    let told = tokio::time::timeout(
        Duration::from_secs(5),
        changes.wait_for(|at| *at >= appended.position),
    );
    assert!(told.await.is_ok(), "nobody said that the log grew");
}
