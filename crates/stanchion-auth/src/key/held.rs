//! Signatures that held before: what is presented again is not computed again.

use std::collections::HashSet;

use aws_lc_rs::digest::{self, SHA256};
use parking_lot::Mutex;

/// How many signatures of one key are remembered at most; beyond that the older half is forgotten at once.
///
/// At 32 bytes each, with the table around them, under 512 KiB a key.
pub(super) const HELD_MAX: usize = 8_192;

/// SHA-256 over a message and its signature.
type Print = [u8; 32];

/// The signatures of one key that held, by a print of message and signature. It lives and dies with its key: no token
/// outlives the key that signed it, and what changes with time (its expiry, its session) is judged each time anew.
///
/// Only what held is remembered, so forged tokens cost a forger's full price and push nothing out.
#[derive(Default)]
pub(super) struct Held {
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashSet<Print>,
    old: HashSet<Print>,
}

impl Held {
    /// What is remembered of a message and a signature.
    pub(super) fn print(message: &[u8], signature: &[u8]) -> Print {
        let mut context = digest::Context::new(&SHA256);
        // The length keeps the border between the two where it was.
        context.update(&(message.len() as u64).to_be_bytes());
        context.update(message);
        context.update(signature);
        let mut print = Print::default();
        print.copy_from_slice(context.finish().as_ref());
        print
    }

    /// Whether that one held before.
    pub(super) fn knows(&self, print: &Print) -> bool {
        let mut generations = self.generations.lock();
        if generations.young.contains(print) {
            return true;
        }
        // Whoever is asked about stays.
        let is_known = generations.old.remove(print);
        if is_known {
            generations.add(*print);
        }
        is_known
    }

    /// It held.
    pub(super) fn remember(&self, print: Print) {
        self.generations.lock().add(print);
    }

    /// How many are remembered.
    pub(super) fn count(&self) -> usize {
        let generations = self.generations.lock();
        generations.young.len() + generations.old.len()
    }
}

impl Generations {
    fn add(&mut self, print: Print) {
        if self.young.len() >= HELD_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(print);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(number: usize) -> Print {
        Held::print(&number.to_be_bytes(), b"signature")
    }

    #[test]
    fn never_more_than_the_bound_are_remembered_and_who_is_asked_about_stays() {
        let held = Held::default();
        held.remember(print(0));
        for number in 1..3 * HELD_MAX {
            held.remember(print(number));
            assert!(held.count() <= HELD_MAX);
            assert!(held.knows(&print(0)), "after {number}");
        }
        assert!(!held.knows(&print(1)));
    }

    #[test]
    fn the_border_between_message_and_signature_counts() {
        assert_ne!(Held::print(b"ab", b"c"), Held::print(b"a", b"bc"));
    }
}
