use std::collections::HashMap;

use parking_lot::RwLock;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

/// The metrics that were used before, by endpoint and what else tells them apart: finding them by their labels would take
/// longer than counting. As many as the families have, which are bounded by the routes.
#[derive(Debug)]
pub(super) struct Used<K>(RwLock<HashMap<String, Vec<OneUsed<K>>>>);

type OneUsed<K> = (K, Counter, Option<Histogram>);

impl<K> Default for Used<K> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Copy + PartialEq> Used<K> {
    /// Counts one more, and how long it took if that is known.
    pub(super) fn count(
        &self,
        endpoint: &str,
        (seconds, key): (Option<f64>, K),
        metrics: impl FnOnce() -> (Counter, Option<Histogram>),
    ) {
        let add = |counter: &Counter, durations: &Option<Histogram>| {
            counter.inc();
            if let Some((seconds, durations)) = seconds.zip(durations.as_ref()) {
                durations.observe(seconds);
            }
        };
        if let Some(used) = self.0.read().get(endpoint)
            && let Some((_, counter, durations)) = used.iter().find(|(used, ..)| *used == key)
        {
            return add(counter, durations);
        }
        let (counter, durations) = metrics();
        add(&counter, &durations);
        let mut used = self.0.write();
        let used = used.entry(endpoint.to_owned()).or_default();
        // Somebody else may have been quicker.
        if used.iter().all(|(used, ..)| *used != key) {
            used.push((key, counter, durations));
        }
    }
}
