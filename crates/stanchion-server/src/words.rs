//! A hash for keys that are our own.

use std::hash::Hasher;

/// A hash of eight bytes at a time, for tables whose keys are routes and services of ours: nobody else can choose them so
/// that many are alike, and a hash that bears that costs as much as counting.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words(u64);

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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_that_differ_a_little_have_other_hashes() {
        let keys = [
            "/orders/{id}",
            "/orders/{ie}",
            "/ordert/{id}",
            "/orders",
            "/",
        ];
        let hash = |key: &str| {
            let mut words = Words::default();
            words.write(key.as_bytes());
            words.finish()
        };
        let hashes: HashSet<u64> = keys.iter().map(|key| hash(key)).collect();
        assert_eq!(hashes.len(), keys.len());
    }
}
