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
            let mixed = self.0 ^ u64::from_ne_bytes(*word);
            let product = u128::from(mixed) * u128::from(FACTOR);
            // Of both halves: a word's last letters would reach the upper bits alone, where the next word takes them back.
            self.0 = product as u64 ^ (product >> 64) as u64;
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::Hash;

    use super::*;

    fn hash(key: &str) -> u64 {
        let mut words = Words::default();
        key.hash(&mut words);
        words.finish()
    }

    #[test]
    fn keys_that_differ_a_little_have_other_hashes() {
        let alike = [
            "/orders/{id}",
            "/orders/{ie}",
            "/ordert/{id}",
            "/orders",
            "/",
        ];
        let hashes: HashSet<u64> = alike.iter().map(|key| hash(key)).collect();
        assert_eq!(hashes.len(), alike.len());
    }

    #[test]
    fn keys_that_differ_where_two_words_meet_have_other_hashes_and_other_places() {
        // The first of the two letters is the last one of its word.
        let letters = || 'a'..='p';
        let keys = letters().flat_map(|one| letters().map(move |two| format!("/parts/{one}{two}")));
        let hashes: HashSet<u64> = keys.map(|key| hash(&key)).collect();
        assert_eq!(hashes.len(), 256);
        // By chance there would be some 160 of each.
        let lower: HashSet<u64> = hashes.iter().map(|hash| hash & 0xff).collect();
        let upper: HashSet<u64> = hashes.iter().map(|hash| hash >> 56).collect();
        assert!(
            lower.len() > 128 && upper.len() > 128,
            "{lower:?} {upper:?}"
        );
    }
}
