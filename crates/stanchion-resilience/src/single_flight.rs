//! Single flight: many who want the same at the same time make one call.

mod layer;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
pub use layer::{Flying, SingleFlightLayer};
use parking_lot::Mutex;
use stanchion_runtime::task::panic_text;

/// At most so many keys are in flight together; a call beyond flies alone.
pub const FLIGHTS_MAX: usize = 10_000;

/// Calls by key that others can join; clones share them.
///
/// Whoever asks while a call of its key is under way gets that call's answer, the error too: an error is not asked
/// for again by each of the waiting. A caller that goes away hands the call over to the others; it is dropped with the
/// last of them. What came of a call is not kept: for that, take a cache.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use stanchion_resilience::single_flight::SingleFlight;
///
/// let prices = SingleFlight::<&str, u64, String>::default();
/// let load = || async { Ok(42) };
/// let (one, other) = tokio::join!(prices.call("tea", load), prices.call("tea", load));
/// assert_eq!((one, other), (Ok(42), Ok(42)));
/// # }
/// ```
pub struct SingleFlight<K: Hash + Eq, V, E> {
    flights: Arc<Mutex<Flights<K, V, E>>>,
}

// Not derived: key, value and error need not be `Clone` for the flights to be shared.
impl<K: Hash + Eq, V, E> Clone for SingleFlight<K, V, E> {
    fn clone(&self) -> Self {
        SingleFlight {
            flights: self.flights.clone(),
        }
    }
}

/// Why a shared call gave no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlightFailed<E> {
    /// Its error, shared by all who waited.
    #[error("{0}")]
    Failed(Arc<E>),
    /// It panicked; all who waited are told, none panics.
    #[error("the call panicked: {0}")]
    Panicked(Arc<str>),
}

// Not derived: the error behind the `Arc` need not be `Clone`.
impl<E> Clone for FlightFailed<E> {
    fn clone(&self) -> Self {
        match self {
            FlightFailed::Failed(error) => FlightFailed::Failed(error.clone()),
            FlightFailed::Panicked(text) => FlightFailed::Panicked(text.clone()),
        }
    }
}

type Answer<V, E> = Result<V, FlightFailed<E>>;
type Flight<V, E> = BoxFuture<'static, Answer<V, E>>;

struct Flights<K, V, E>
where
    K: Hash + Eq,
{
    by_key: HashMap<K, (u64, WeakShared<Flight<V, E>>)>,
    next: u64,
}

/// Takes a flight off the list when it has ended, or been dropped by all.
struct Landing<K: Hash + Eq, V, E> {
    flights: Weak<Mutex<Flights<K, V, E>>>,
    key: K,
    number: u64,
}

impl<K, V, E> SingleFlight<K, V, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// The answer of the call of `key` that is under way, or else of `load`.
    ///
    /// # Errors
    /// What the one call gave.
    ///
    /// `load` may be called in vain when two come at the same instant; its future is then never polled.
    pub async fn call<F>(&self, key: K, load: impl FnOnce() -> F) -> Result<V, FlightFailed<E>>
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        self.join(key, load).await
    }

    /// A tower layer over these very flights; `of` tells a request's key. The answers must be `Clone`, and the service
    /// one of reads: whoever joins gets the answer to another's request.
    pub fn layer<R, Of: Fn(&R) -> K>(&self, of: Of) -> SingleFlightLayer<K, V, E, Of> {
        SingleFlightLayer::new(self.clone(), of)
    }

    /// How many keys are in flight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flights.lock().by_key.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn join<F>(&self, key: K, load: impl FnOnce() -> F) -> Shared<Flight<V, E>>
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        if let Some(flight) = self.flights.lock().flying(&key) {
            return flight;
        }
        // Not under the lock: it is the caller's code, and may ask for another key.
        let load = load();
        let mut flights = self.flights.lock();
        if let Some(flight) = flights.flying(&key) {
            return flight;
        }
        if flights.by_key.len() >= FLIGHTS_MAX {
            return caught(load, None::<Landing<K, V, E>>).shared();
        }
        flights.next += 1;
        let landing = Landing {
            flights: Arc::downgrade(&self.flights),
            key: key.clone(),
            number: flights.next,
        };
        let flight = caught(load, Some(landing)).shared();
        if let Some(weak) = flight.downgrade() {
            let number = flights.next;
            flights.by_key.insert(key, (number, weak));
        }
        flight
    }
}

impl<K: Hash + Eq, V, E> Flights<K, V, E> {
    fn flying(&self, key: &K) -> Option<Shared<Flight<V, E>>> {
        self.by_key
            .get(key)
            .and_then(|(_, flight)| flight.upgrade())
    }
}

/// `load` with its panic caught; what is dropped with it takes it off the list.
fn caught<V, E, F, L>(load: F, landing: L) -> Flight<V, E>
where
    V: 'static,
    E: 'static,
    F: Future<Output = Result<V, E>> + Send + 'static,
    L: Send + 'static,
{
    Box::pin(async move {
        let _landing = landing;
        match AssertUnwindSafe(load).catch_unwind().await {
            Ok(result) => result.map_err(|error| FlightFailed::Failed(Arc::new(error))),
            Err(panic) => Err(FlightFailed::Panicked(panic_text(panic.as_ref()).into())),
        }
    })
}

impl<K: Hash + Eq, V, E> Drop for Landing<K, V, E> {
    fn drop(&mut self) {
        let Some(flights) = self.flights.upgrade() else {
            return;
        };
        let mut flights = flights.lock();
        // Another call of this key may have begun since.
        if flights
            .by_key
            .get(&self.key)
            .is_some_and(|(number, _)| *number == self.number)
        {
            flights.by_key.remove(&self.key);
        }
    }
}

impl<K: Hash + Eq, V, E> Default for SingleFlight<K, V, E> {
    fn default() -> Self {
        SingleFlight {
            flights: Arc::new(Mutex::new(Flights {
                by_key: HashMap::new(),
                next: 0,
            })),
        }
    }
}

impl<K: Hash + Eq, V, E> std::fmt::Debug for SingleFlight<K, V, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SingleFlight").finish_non_exhaustive()
    }
}
