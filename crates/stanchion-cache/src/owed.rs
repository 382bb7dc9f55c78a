//! Invalidations that the remote tier has not heard of: until then this process does not ask it for those keys.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_resilience::Moment;

/// Debts by key, at most so many.
#[derive(Debug)]
pub(crate) struct Owed {
    max: usize,
    book: Mutex<Book>,
    /// How many there are, all keys counting as one: lookups read no more than this while there are none.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Book {
    debts: HashMap<String, Debt>,
    next: u64,
    /// A debt was lost: until then the remote tier may have anything.
    barred_until: Option<Moment>,
}

/// One invalidation that is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Debt {
    pub(crate) version: u64,
    number: u64,
}

impl Owed {
    pub(crate) fn new(max: u32) -> Self {
        Owed {
            max: max as usize,
            book: Mutex::default(),
            count: AtomicUsize::new(0),
        }
    }

    /// Owes it until it is [`paid`](Self::paid). When there are too many, the remote tier is not asked for anything for
    /// as long as it may keep what it has: `kept_for`.
    pub(crate) fn owe(&self, key: &str, version: u64, kept_for: Duration) -> Option<Debt> {
        let mut book = self.book.lock();
        let known = book.debts.get(key).map(|debt| debt.version);
        if known.is_none() && book.debts.len() >= self.max {
            book.barred_until = Some(Moment::now() + kept_for);
            self.recount(&book);
            return None;
        }
        book.next += 1;
        let debt = Debt {
            version: version.max(known.unwrap_or(0)),
            number: book.next,
        };
        book.debts.insert(key.to_owned(), debt);
        self.recount(&book);
        Some(debt)
    }

    /// The remote tier has heard of this very debt.
    pub(crate) fn paid(&self, key: &str, debt: Debt) {
        let mut book = self.book.lock();
        if book.debts.get(key) == Some(&debt) {
            book.debts.remove(key);
            self.recount(&book);
        }
    }

    /// Whether the remote tier may have what we know to be old.
    pub(crate) fn has(&self, key: &str) -> bool {
        if self.count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let mut book = self.book.lock();
        if book
            .barred_until
            .is_some_and(|until| Moment::now() >= until)
        {
            book.barred_until = None;
            self.recount(&book);
        }
        book.barred_until.is_some() || book.debts.contains_key(key)
    }

    /// Some of them, at most `max`.
    pub(crate) fn some(&self, max: usize) -> Vec<(String, Debt)> {
        let book = self.book.lock();
        let debts = book.debts.iter().take(max);
        debts.map(|(key, debt)| (key.clone(), *debt)).collect()
    }

    /// How many keys.
    pub(crate) fn len(&self) -> usize {
        self.book.lock().debts.len()
    }

    fn recount(&self, book: &Book) {
        let count = book.debts.len() + usize::from(book.barred_until.is_some());
        self.count.store(count, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(60);

    #[test]
    fn a_debt_is_paid_by_the_last_word_alone() {
        let owed = Owed::new(10);
        let first = owed.owe("tea", 3, LIFE).unwrap();
        let second = owed.owe("tea", 2, LIFE).unwrap();
        assert_eq!(second.version, 3, "the higher of both is owed");
        owed.paid("tea", first);
        assert!(owed.has("tea") && !owed.has("milk"));
        owed.paid("tea", second);
        assert!(!owed.has("tea"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_debt_bars_everything_until_nothing_old_can_be_left() {
        let owed = Owed::new(1);
        let debt = owed.owe("tea", 0, LIFE).unwrap();
        assert!(owed.owe("milk", 0, LIFE).is_none());
        owed.paid("tea", debt);
        assert!(owed.has("milk") && owed.has("whatever"));
        tokio::time::advance(LIFE).await;
        assert!(!owed.has("milk"));
    }
}
