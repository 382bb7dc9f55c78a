//! What a context announces, as brokers read it.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use stanchion_eventsourcing::{
    Announcement, Append, EventLog, Expected, MemoryLog, Metadata, NewEvent, Relay, StreamId,
    UnknownEvent,
};
use stanchion_messaging::{Contract, Feed, Place};
use stanchion_runtime::id;

#[derive(Serialize, Deserialize)]
struct Counted {
    n: u64,
}

impl Contract for Counted {
    const NAME: &'static str = "counters.counted.v1";

    fn key(&self) -> String {
        "a".into()
    }
}

async fn log_of(kinds: &[&str]) -> Arc<dyn EventLog> {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    for (n, kind) in kinds.iter().enumerate() {
        let event = NewEvent {
            id: id::new_v7(),
            kind: (*kind).into(),
            data: json!({ "n": n }).into(),
        };
        let append = Append {
            stream: StreamId::new("counter", "a"),
            expected: Expected::Any,
            events: vec![event],
            inbox: None,
            timers: Vec::new(),
            metadata: Metadata::new(None),
        };
        log.append(append).await.unwrap();
    }
    log
}

#[tokio::test]
async fn what_comes_before_an_entry_that_nobody_knows_goes_out() {
    let log = log_of(&["counted", "counted", "unknown", "counted"]).await;
    let relay = Relay::new("counters", log, |recorded| match &*recorded.kind {
        "counted" => Ok(vec![Announcement::of(&Counted { n: 1 })]),
        _ => Err(UnknownEvent(recorded.kind.clone())),
    });
    let page = relay.read(Place::START, 256).await.unwrap();
    assert_eq!((page.messages.len(), page.through.position.0), (2, 2));
    let error = relay.read(page.through, 256).await.unwrap_err();
    assert!(error.to_string().contains("unknown"), "{error}");
}
