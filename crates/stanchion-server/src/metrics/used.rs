use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use parking_lot::RwLock;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use crate::words::Words;

/// The metrics that were used before, by endpoint and what else tells them apart: finding them by their labels would take
/// longer than counting. As many as the families have, which are bounded by the routes.
#[derive(Debug)]
pub(super) struct Used<K>(RwLock<ByEndpoint<K>>);

type ByEndpoint<K> = HashMap<String, Vec<OneUsed<K>>, BuildHasherDefault<Words>>;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_that_differ_a_little_are_counted_apart() {
        let alike = ["/orders/{id}", "/orders/{ie}", "/ordert/{id}", "/orders"];
        let used = Used::default();
        for endpoint in alike {
            for status in [200, 404, 200] {
                let new = || (Counter::default(), None);
                used.count(endpoint, (None, status), new);
            }
        }
        for endpoint in alike {
            let counted = used.0.read();
            let counted = counted[endpoint]
                .iter()
                .map(|(key, all, _)| (*key, all.get()));
            assert_eq!(
                counted.collect::<Vec<_>>(),
                [(200, 2), (404, 1)],
                "{endpoint}"
            );
        }
    }
}
