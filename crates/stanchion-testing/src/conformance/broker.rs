//! What every adapter of a broker must do, on a real server.
//!
//! An adapter says what it promises ([`Promises`]) and how its server is had ([`BrokerUnderTest`]). Every case runs
//! [`RUNS`] times at the same time, each run with names, connections and a fault proxy of its own; a case that kills or
//! wipes the server does it once, when all of its runs are there.
//!
//! Adapters are alike from the outside, too: messages carry the headers of [`HEADERS`], and what became of messages
//! stands in `stanchion_broker_messages_total{broker,outcome}` (`confirmed`, `unconfirmed`, `delivered`, `redelivered`,
//! `undecodable`), how many a client holds in `stanchion_broker_held{broker,group}`.

mod close;
mod disorder;
mod faults;
mod groups;
mod member;
mod order;
mod poison;
mod publish;
mod recovery;
mod redelivery;
mod stage;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use stanchion_messaging::{Publisher, Subscriber};
use stanchion_runtime::task;

use super::Case;
use stage::{Server, Stage};

/// How often each case runs at the same time.
pub const RUNS: usize = 20;

/// The longest that all runs of one case may take on a loaded machine.
const ALL_RUNS_MAX: Duration = Duration::from_secs(180);

/// What the headers of a message are called: its contract, its key, its id, and its cause's W3C trace context. A key
/// that cannot be a header's value is left out; the body has everything.
pub const HEADERS: [&str; 4] = [
    "stanchion-contract",
    "stanchion-key",
    "stanchion-message-id",
    "traceparent",
];

/// What an adapter promises; what it does not is not asked for.
#[derive(Clone, Debug)]
pub struct Promises {
    /// The longest a publish waits for its confirmation.
    pub confirms_within: Duration,
    /// After so long without [`extend`](stanchion_messaging::Subscription::extend) a delivery goes to another member;
    /// `None` where a member keeps it as long as its connection.
    pub redelivers_after: Option<Duration>,
    /// How long what a vanished member had may take to reach another one.
    pub takes_over_within: Duration,
    /// Messages a subscription holds at the most: those handed out and those waiting to be.
    pub held_max: usize,
    /// The largest body in bytes; the message's envelope counts.
    pub body_bytes_max: usize,
    /// A group that is new gets what was published before it.
    pub late_groups_see_all: bool,
    /// Two members of a group have partitions at the same time.
    pub members_share: bool,
    /// What was confirmed is there after the server was killed, though not after a power cut.
    pub survives_kill: bool,
}

/// What happens to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerChange {
    /// It ends at once, nothing flushed.
    Kill,
    /// It starts on what it had, at the same address, and is ready.
    Start,
    /// Everything it had is deleted; it does not run at that time.
    Wipe,
}

/// An adapter on a server of its own.
#[async_trait]
pub trait BrokerUnderTest: Send + Sync {
    /// What it promises, as configured here.
    fn promises(&self) -> Promises;

    /// Where the server listens; the same after each start.
    fn address(&self) -> SocketAddr;

    /// A client as one process has it, with connections of its own to `address`, which may be a proxy's. Everything it
    /// makes in the broker begins with `prefix` (letters and digits). It does not wait for the broker.
    async fn connect(&self, address: SocketAddr, prefix: &str) -> Client;

    /// Puts a body that is no message where a partition's messages are, beside the adapter.
    async fn put(&self, prefix: &str, partition: u16, body: &[u8]);

    /// Runs `publish`, which publishes one message, and gives the headers that the broker has it under.
    async fn headers(&self, prefix: &str, publish: BoxFuture<'_, ()>) -> HashMap<String, String>;

    /// How many messages the broker itself has put aside as undeliverable under this prefix.
    async fn dead_lettered(&self, prefix: &str) -> u64;

    /// The run with this prefix is over: what it made in the broker may go.
    async fn forget(&self, prefix: &str);

    /// Kills, starts or wipes the server; may block.
    fn change(&self, change: ServerChange);
}

/// One process' way to the broker; dropped, it ends.
pub struct Client {
    /// It publishes.
    pub publisher: Arc<dyn Publisher>,
    /// It subscribes.
    pub subscriber: Arc<dyn Subscriber>,
    /// What both count in.
    pub metrics: stanchion_telemetry::Metrics,
}

/// The parts of the suite, each for a test of its own: together they take minutes.
const PARTS: [(&str, &[Case<Stage>]); 9] = [
    ("publish", publish::CASES),
    ("groups", groups::CASES),
    ("order", order::CASES),
    ("disorder", disorder::CASES),
    ("redelivery", redelivery::CASES),
    ("poison", poison::CASES),
    ("close", close::CASES),
    ("faults", faults::CASES),
    ("recovery", recovery::CASES),
];

/// Runs every case [`RUNS`] times in parallel, one case after the other.
///
/// # Panics
/// At the first case of which a run fails.
pub async fn run(broker: Arc<dyn BrokerUnderTest>) {
    run_where(&broker, |_, _| true).await;
}

/// As [`run`], only the cases of one part: `publish`, `groups`, `order`, `disorder`, `redelivery`, `poison`, `close`,
/// `faults` or `recovery`.
///
/// # Panics
/// As [`run`] does, and when there is no such part.
pub async fn run_part(broker: Arc<dyn BrokerUnderTest>, wanted: &str) {
    run_where(&broker, |part, _| part == wanted).await;
}

/// The parts of the suite as tests, each by an async function of the module that it stands in, which runs the part of that
/// name ([`run_part`](crate::conformance::broker::run_part)) on a server of its own.
#[macro_export]
macro_rules! broker_parts {
    ($part:ident) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn what_it_confirms_is_there() {
            $part("publish").await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn its_groups_share() {
            $part("groups").await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn its_keys_are_in_order() {
            $part("order").await;
        }

        /// B4.
        #[tokio::test(flavor = "multi_thread")]
        async fn what_it_says_three_times_and_out_of_turn_has_one_effect() {
            $part("disorder").await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn it_delivers_again_what_was_not_acknowledged() {
            $part("redelivery").await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn it_passes_what_is_no_message() {
            $part("poison").await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn it_closes_without_a_loss() {
            $part("close").await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn it_survives_its_server_and_its_network() {
            $part("faults").await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn what_it_lost_is_there_again_within_a_minute() {
            $part("recovery").await;
        }
    };
}

/// As [`run`], only the cases whose name contains `wanted`.
///
/// # Panics
/// As [`run`] does, and when no name contains it.
pub async fn run_only(broker: Arc<dyn BrokerUnderTest>, wanted: &str) {
    run_where(&broker, |_, case| case.contains(wanted)).await;
}

async fn run_where(broker: &Arc<dyn BrokerUnderTest>, wanted: impl Fn(&str, &str) -> bool) {
    let cases = PARTS.into_iter();
    let cases = cases.flat_map(|(part, cases)| cases.iter().map(move |case| (part, case)));
    let mut any = false;
    for (number, (part, case)) in cases.enumerate() {
        if wanted(part, case.name) {
            any = true;
            run_case(broker, number, case).await;
        }
    }
    assert!(any, "there is no such case");
}

async fn run_case(broker: &Arc<dyn BrokerUnderTest>, number: usize, case: &Case<Stage>) {
    let sentence = case.name.replace('_', " ");
    let begun = tokio::time::Instant::now();
    let server = Arc::new(Server::new(Arc::clone(broker), RUNS));
    let mut runs: FuturesUnordered<_> = (0..RUNS)
        .map(|run| {
            let stage = Stage::new(Arc::clone(broker), Arc::clone(&server), number, run);
            task::spawn("conformance", (case.run)(stage))
        })
        .collect();
    let all = async {
        while let Some(ended) = runs.next().await {
            // The others may wait for this one in vain.
            ended.unwrap_or_else(|failed| panic!("broker: {sentence}: {failed}"));
        }
    };
    let finished = tokio::time::timeout(ALL_RUNS_MAX, all).await;
    assert!(
        finished.is_ok(),
        "broker: {sentence}: not within {ALL_RUNS_MAX:?}"
    );
    eprintln!("broker: {sentence}: {RUNS} runs in {:?}", begun.elapsed());
    for run in 0..RUNS {
        broker.forget(&stage::prefix(number, run)).await;
    }
}
