//! A broker that lost what it had confirmed: who misses it has it within a minute, with one effect and in order by key.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_messaging::{Forwarder, LogId, MemoryRelayStore, Position};
use stanchion_runtime::task;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::ServerChange;
use super::disorder::{Effects, consume, fold_of};
use super::stage::{STEP_MAX, Source, Stage};
use crate::conformance::{Case, cases};
use crate::feed::ListedFeed;

pub(super) const CASES: &[Case<Stage>] =
    cases![what_a_wiped_store_had_confirmed_is_there_again_within_a_minute,];

const KEYS: usize = 6;
const EACH: usize = 10;
const AGAIN_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// Nobody has taken any of it when it is lost, and the consumer that comes afterwards hears of it from the relay alone.
async fn what_a_wiped_store_had_confirmed_is_there_again_within_a_minute(stage: Stage) {
    let client = stage.client().await;
    stage.joined(&client, "readers").await.leave();
    let sent = Source::new().rounds(KEYS, EACH);
    let log = sent[0].message.origin.log;
    let feed = Arc::new(ListedFeed::new("suite", log));
    for envelope in &sent {
        feed.push(envelope.message.clone());
    }
    let rows = Arc::new(MemoryRelayStore::default());
    let (publisher, store) = (Arc::clone(&client.publisher), Arc::clone(&rows));
    let relay =
        Forwarder::new(feed, publisher, store).asked_through(Arc::clone(&client.subscriber));
    let relaying = task::spawn("relay", relay.run(CancellationToken::new()));
    confirmed(&rows, log, sent[sent.len() - 1].message.origin.position).await;
    let lost = &[ServerChange::Kill, ServerChange::Wipe, ServerChange::Start];
    stage.server(lost).await;

    let (begun, effects) = (Instant::now(), Arc::new(Mutex::new(Effects::default())));
    let consuming = task::spawn("consumer", consume(&client, &effects));
    let expected = fold_of(&sent);
    while effects.lock().fold != expected {
        let took = begun.elapsed();
        assert!(took < AGAIN_WITHIN, "it has {:?}", effects.lock().fold);
        sleep(LOOK).await;
    }
    consuming.abort();
    relaying.abort();
}

/// Waits until the relay has moved its checkpoint there, which it does once the broker has confirmed everything.
async fn confirmed(rows: &MemoryRelayStore, log: LogId, last: Position) {
    let begun = Instant::now();
    let through = || rows.kept("suite", log).map(|state| state.through.position);
    while through() != Some(last) {
        assert!(begun.elapsed() < STEP_MAX, "confirmed to {:?}", through());
        sleep(LOOK).await;
    }
}
