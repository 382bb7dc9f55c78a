//! A repository's side of snapshots: loads them with suspicion, writes them beside the requests.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde_json::Value;
use stanchion_runtime::task;
use stanchion_telemetry::Metrics;
use tokio::sync::Semaphore;
use tracing::debug;

use super::{KeptState, Snapshot, Snapshots};
use crate::personal;
use crate::slots::Slot;
use crate::{Aggregate, Loaded, StreamId, Vault, Version};

/// Snapshots being written at once by one repository; one more is skipped, a later event brings the next.
const WRITES_MAX: usize = 4;

/// How long a write may take.
const WRITE_MAX: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    category: &'static str,
    outcome: &'static str,
}

/// Loads and writes the snapshots of one kind of aggregate.
pub(crate) struct Keeper<A> {
    inner: Arc<Inner<A>>,
    every: i64,
    writes: Arc<Semaphore>,
}

/// What became of a state that was to be written.
enum Written {
    Kept,
    /// It remembered somebody who is shredded.
    Outlived,
}

/// What a write takes along.
struct Inner<A> {
    store: Arc<dyn Snapshots>,
    schema: i64,
    encode: fn(&A) -> serde_json::Result<Value>,
    decode: fn(&Value) -> serde_json::Result<A>,
    outcomes: Family<Labels, Counter>,
}

impl<A: Aggregate> Keeper<A> {
    pub(crate) fn new(store: Arc<dyn Snapshots>, every: u32) -> Self
    where
        A: Snapshot,
    {
        let inner = Inner {
            store,
            schema: A::SCHEMA,
            encode: |state| serde_json::to_value(state),
            decode: |kept| A::deserialize(kept),
            outcomes: Family::default(),
        };
        Self {
            inner: Arc::new(inner),
            every: i64::from(every.max(1)),
            writes: Arc::new(Semaphore::new(WRITES_MAX)),
        }
    }

    /// Before anything is loaded or written.
    pub(crate) fn count_in(&mut self, metrics: &Metrics) {
        let help = "Snapshots of aggregates by what became of them";
        let outcomes = metrics.counter_family("stanchion_snapshots_total", help);
        self.inner = Arc::new(Inner {
            store: Arc::clone(&self.inner.store),
            outcomes,
            ..*self.inner
        });
    }

    /// After how many events a state is kept again.
    pub(crate) fn every(&self) -> usize {
        usize::try_from(self.every).unwrap_or(usize::MAX)
    }

    /// Whether the interval's end lies between two places in a stream.
    pub(crate) fn is_due(&self, before: Version, after: Version) -> bool {
        before.0 / self.every != after.0 / self.every
    }

    pub(crate) fn hit(&self) {
        self.inner.count::<A>("hit");
    }

    /// The state kept for a stream, if it can be used. Whether the stream still agrees is the caller's to see.
    pub(crate) async fn load(
        &self,
        stream: &StreamId,
        vault: Option<&dyn Vault>,
    ) -> Option<Loaded<A>> {
        let kept = match self.inner.store.load(stream).await {
            Ok(Some(kept)) => kept,
            Ok(None) => {
                self.inner.count::<A>("missed");
                return None;
            }
            Err(error) => {
                debug!(%stream, %error, "no snapshot could be read");
                self.inner.count::<A>("failed");
                return None;
            }
        };
        match self.inner.decode(&kept, vault).await {
            Ok(state) => Some(Loaded {
                state,
                version: Some(kept.version),
                last: Some(kept.event),
            }),
            Err(reason) => {
                self.discard(stream, Some(kept.version), &reason);
                None
            }
        }
    }

    /// Has a snapshot deleted that is of no use.
    pub(crate) fn discard(&self, stream: &StreamId, version: Option<Version>, reason: &str) {
        debug!(%stream, ?version, reason, "snapshot discarded");
        self.inner.count::<A>("discarded");
        let (inner, stream) = (Arc::clone(&self.inner), stream.clone());
        let Some(version) = version else { return };
        self.beside("snapshot-discard", async move {
            if let Err(error) = inner.store.discard(&stream, version).await {
                debug!(%stream, %error, "a snapshot could not be deleted");
            }
        });
    }

    /// Has the state written beside the request; when too many are being written already, not at all.
    ///
    /// A state that remembers somebody who is shredded is not written but forgotten: the next one is made of the stream.
    pub(crate) fn write(
        &self,
        stream: &StreamId,
        loaded: &Loaded<A>,
        vault: Option<Arc<dyn Vault>>,
        slot: Arc<Slot<A>>,
    ) {
        let (Some(version), Some(event)) = (loaded.version, loaded.last) else {
            return;
        };
        let (inner, stream) = (Arc::clone(&self.inner), stream.clone());
        let state = loaded.state.clone();
        let begun = self.beside("snapshot-write", async move {
            let written = inner
                .write(&stream, (version, event), &state, vault.as_deref())
                .await;
            let outcome = match written {
                Ok(Written::Kept) => "written",
                Ok(Written::Outlived) => {
                    slot.forget();
                    "outlived"
                }
                Err(reason) => {
                    debug!(%stream, %version, reason, "no snapshot was written");
                    "failed"
                }
            };
            inner.count::<A>(outcome);
        });
        if !begun {
            self.inner.count::<A>("skipped");
        }
    }

    /// Runs work that nobody waits for, unless as much of it runs already as may.
    fn beside(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> bool {
        let Ok(permit) = Arc::clone(&self.writes).try_acquire_owned() else {
            return false;
        };
        task::spawn(name, async move {
            if tokio::time::timeout(WRITE_MAX, work).await.is_err() {
                debug!(name, "a snapshot took too long");
            }
            drop(permit);
        });
        true
    }
}

impl<A: Aggregate> Inner<A> {
    async fn decode(&self, kept: &KeptState, vault: Option<&dyn Vault>) -> Result<A, String> {
        if kept.schema != self.schema {
            return Err(format!(
                "it is of schema {}, not {}",
                kept.schema, self.schema
            ));
        }
        let decode = || (self.decode)(&kept.state);
        let decoded = match vault {
            Some(vault) => personal::opening(vault, decode)
                .await
                .map_err(|error| error.to_string())?,
            None => decode(),
        };
        decoded.map_err(|error| error.to_string())
    }

    async fn write(
        &self,
        stream: &StreamId,
        (version, event): (Version, uuid::Uuid),
        state: &A,
        vault: Option<&dyn Vault>,
    ) -> Result<Written, String> {
        let encode = || (self.encode)(state);
        let encoded = match vault {
            Some(vault) => personal::sealing_state(vault, encode)
                .await
                .map_err(|error| error.to_string())?,
            None => Some(encode()),
        };
        let Some(encoded) = encoded else {
            return Ok(Written::Outlived);
        };
        let kept = KeptState {
            version,
            event,
            schema: self.schema,
            state: encoded.map_err(|error| error.to_string())?,
        };
        let kept = self.store.keep(stream, &kept).await;
        kept.map(|()| Written::Kept)
            .map_err(|error| error.to_string())
    }

    fn count<T: Aggregate>(&self, outcome: &'static str) {
        let labels = Labels {
            category: T::CATEGORY,
            outcome,
        };
        self.outcomes.get_or_create(&labels).inc();
    }
}
