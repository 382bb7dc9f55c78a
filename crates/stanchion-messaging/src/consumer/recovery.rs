//! One subscription after the other, with growing waits where the broker or the consumer's store failed.
//!
//! A broker counts how often it delivers a message, whatever that comes to, and gives it up after so many times, 1,000 by
//! default. So a consumer whose store failed takes nothing before that takes writes again: an outage costs one delivery,
//! however long it lasts. Where the store does not tell, the growing wait bounds what an outage costs: 2 to 4 deliveries a
//! minute, 240 an hour at most, of each member of the group.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Consumer;
use super::flight::Flight;
use super::follow::Follow;
use super::marks::Marks;
use super::waits::Waits;
use crate::adapter::Backoff;

/// The first wait after a failure, doubled each time.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait after the store failed.
const STORE_MAX: Duration = Duration::from_secs(30);

/// The longest wait after the broker or a feed failed, as adapters have it by default; they wait by themselves as well. And
/// between two looks whether the store takes writes again, which cost no delivery.
const BROKER_MAX: Duration = Duration::from_secs(5);

/// A subscription that lasted so long, which is more than any wait, began well: the next failure is a first one.
const BEGAN_WELL: Duration = STORE_MAX;

/// How to go on after failures.
struct Recovery {
    store: Backoff,
    broker: Backoff,
    looks: Backoff,
    /// The store failed in the last subscription.
    in_doubt: bool,
}

impl Recovery {
    fn new() -> Self {
        Self {
            store: Backoff::new(FIRST, STORE_MAX),
            broker: Backoff::new(FIRST, BROKER_MAX),
            looks: Backoff::new(FIRST, BROKER_MAX),
            in_doubt: false,
        }
    }

    /// What came of a subscription, as [`Follow::run`] says it, and how long it lasted.
    fn ended(&mut self, ended: &Result<Option<String>, String>, lasted: Duration) {
        if lasted >= BEGAN_WELL {
            self.store.succeeded();
            self.broker.succeeded();
        }
        match ended {
            Ok(None) => {}
            Ok(Some(_)) => self.broker.failed(),
            Err(_) => self.store.failed(),
        }
        self.in_doubt = ended.is_err();
    }
}

impl Consumer {
    pub(super) async fn run_to_the_end(&self, stop: &CancellationToken) {
        let mut recovery = Recovery::new();
        while !stop.is_cancelled() {
            if recovery.in_doubt
                && let Err(error) = self.store.takes_writes(self.name).await
            {
                warn!(consumer = self.name, %error, "consumer waits for its store");
                recovery.looks.failed();
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = recovery.looks.wait() => {}
                }
                continue;
            }
            recovery.looks.succeeded();
            let began = Instant::now();
            let ended = self.follow(stop, &recovery).await;
            recovery.ended(&ended, began.elapsed());
            let (Ok(Some(reason)) | Err(reason)) = ended else {
                continue;
            };
            warn!(consumer = self.name, %reason, "consumer waits for its broker or store");
            tokio::select! {
                () = stop.cancelled() => {}
                () = recovery.store.wait() => {}
            }
        }
    }

    /// Follows one subscription.
    async fn follow(
        &self,
        stop: &CancellationToken,
        recovery: &Recovery,
    ) -> Result<Option<String>, String> {
        self.take_back().await?;
        let progress = self.store.progress(self.name).await;
        let progress = progress.map_err(|error| error.to_string())?;
        let marks = self.store.marks(self.name).await;
        let marks = marks.map_err(|error| error.to_string())?;
        let now = Instant::now();
        let mut follow = Follow {
            consumer: self,
            marks: Marks::new(&progress, marks, now),
            flight: Flight::default(),
            waits: Waits::default(),
            refreshed: now,
            was_given: false,
            paced: HashMap::new(),
        };
        // What was put aside is tried again meanwhile.
        let subscribing = async {
            recovery.broker.wait().await;
            self.subscribe(progress).await
        };
        let ended = follow.run(Box::pin(subscribing), stop).await;
        self.show_taken((0, 0));
        let was_told = matches!(ended, Ok(None));
        if follow.was_given && !was_told {
            self.outlived_failure.store(true, Ordering::Relaxed);
        }
        ended
    }
}
