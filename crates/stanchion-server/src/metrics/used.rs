use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use parking_lot::RwLock;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

/// The metrics that were used before, by endpoint and what else tells them apart: finding them by their labels would take
/// longer than counting. As many as the families have, which are bounded by the routes.
#[derive(Debug)]
pub(super) struct Used<K>(RwLock<ByEndpoint<K>>);

type ByEndpoint<K> = HashMap<String, Vec<OneUsed<K>>, BuildHasherDefault<Words>>;

type OneUsed<K> = (K, Counter, Option<Histogram>);

/// A hash of eight bytes at a time. Endpoints are templates of our own: nobody can choose them so that many are alike, and
/// a hash that bears that costs as much as counting.
#[derive(Default)]
struct Words(u64);

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        // Odd, and its bits have no pattern: 2⁶⁴ divided by the golden ratio.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        for word in words.iter().chain([&last]) {
            let mixed = self.0.rotate_left(5) ^ u64::from_ne_bytes(*word);
            self.0 = mixed.wrapping_mul(FACTOR);
        }
    }

    fn finish(&self) -> u64 {
        // A table begins with the lower bits, of which fewer are mixed.
        self.0.rotate_left(26)
    }
}

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

    fn hash(bytes: &str) -> u64 {
        let mut words = Words::default();
        words.write(bytes.as_bytes());
        words.finish()
    }

    #[test]
    fn templates_that_differ_a_little_are_told_apart() {
        let alike = [
            "/orders/{id}",
            "/orders/{ie}",
            "/ordert/{id}",
            "/orders",
            "/",
        ];
        let hashes: std::collections::HashSet<_> = alike.map(hash).into();
        assert_eq!(hashes.len(), alike.len());
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
