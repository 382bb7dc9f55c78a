//! What every adapter of a port must do, as cases that run against any of them.
//!
//! Each suite takes a function that makes a fresh subject and runs every case on one of its own:
//!
//! ```no_run
//! # use std::sync::Arc;
//! use stanchion_eventsourcing::{EventLog, MemoryLog};
//! # async fn run() {
//! stanchion_testing::conformance::event_log::run(async || Arc::new(MemoryLog::new()) as Arc<dyn EventLog>).await;
//! # }
//! ```

#![allow(
    clippy::unwrap_used,
    reason = "a suite is a test: what it unwraps is what it asserts"
)]

pub mod broker;
pub mod cache;
pub mod consumer_store;
pub mod event_log;
pub mod inbox;
pub mod personal;
pub mod rate;
pub mod relay_store;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The longest one case may take on a loaded machine.
const CASE_MAX: Duration = Duration::from_secs(60);

type Run<T> = fn(T) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Names of cases are sentences; the last one printed is the one that failed.
struct Case<T> {
    name: &'static str,
    run: Run<T>,
}

/// Makes a [`Case`] of an `async fn`.
macro_rules! cases {
    ($($case:ident,)+) => {
        &[$($crate::conformance::Case {
            name: stringify!($case),
            run: |subject| Box::pin($case(subject)),
        }),+]
    };
}
use cases;

async fn run_all<T>(suite: &str, cases: &[Case<T>], fresh: impl AsyncFn() -> T) {
    for case in cases {
        let sentence = case.name.replace('_', " ");
        eprintln!("{suite}: {sentence}");
        let subject = fresh().await;
        let finished = tokio::time::timeout(CASE_MAX, (case.run)(subject)).await;
        assert!(
            finished.is_ok(),
            "{suite}: {sentence}: not within {CASE_MAX:?}"
        );
    }
}
