use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How late a revocation by another process may count here, whatever else is cut or slow.
pub(crate) const REVOKED_WITHIN: Duration = Duration::from_secs(1);

/// What the store said a moment ago, so that not every request has to ask it. No more than the bound is remembered; what was
/// not asked for longest goes first, half of all at a time: whoever asks for what is not there makes nobody look through
/// the rest.
#[derive(Debug)]
pub(crate) struct Answers<K, V> {
    known: Mutex<Known<K, V>>,
    entries_max: usize,
}

/// A question to the store, from before it was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    changes: u64,
    asked_at: Instant,
}

/// Two halves: what is used moves to the young one, and the old one goes as a whole.
#[derive(Debug)]
struct Known<K, V> {
    young: HashMap<K, Entry<V>>,
    old: HashMap<K, Entry<V>>,
    /// Goes up with each change: an answer that was on its way meanwhile is not remembered.
    changes: u64,
}

#[derive(Clone, Debug)]
struct Entry<V> {
    answer: V,
    asked_at: Instant,
}

impl<K: Copy + Eq + Hash, V: Clone> Answers<K, V> {
    /// None yet, and never more than that.
    pub(crate) fn at_most(entries_max: usize) -> Self {
        Self {
            known: Mutex::default(),
            entries_max,
        }
    }

    /// What is known, if it was asked for within the last second.
    pub(crate) fn get(&self, key: K) -> Option<V> {
        self.get_within(key, REVOKED_WITHIN)
    }

    /// The same with another age.
    pub(crate) fn get_within(&self, key: K, age_max: Duration) -> Option<V> {
        let mut known = self.known.lock();
        let entry = known.get(key, self.entries_max)?;
        (entry.asked_at.elapsed() < age_max).then(|| entry.answer.clone())
    }

    /// What was known at last, however old.
    pub(crate) fn last_known(&self, key: K) -> Option<V> {
        let mut known = self.known.lock();
        let entry = known.get(key, self.entries_max)?;
        Some(entry.answer.clone())
    }

    pub(crate) fn ask(&self) -> Question {
        Question {
            changes: self.known.lock().changes,
            asked_at: Instant::now(),
        }
    }

    pub(crate) fn remember(&self, question: Question, key: K, answer: V) {
        self.remember_unless(question, key, answer, |_, _| false);
    }

    /// Keeps what is known if it `is_newer` than the answer: answers may come in another order than they were asked for.
    pub(crate) fn remember_unless(
        &self,
        question: Question,
        key: K,
        answer: V,
        is_newer: impl FnOnce(&V, &V) -> bool,
    ) {
        let mut known = self.known.lock();
        if question.changes != known.changes {
            return;
        }
        let before = known.get(key, self.entries_max);
        if before.is_some_and(|before| is_newer(&before.answer, &answer)) {
            return;
        }
        let asked_at = question.asked_at;
        known.keep(key, Entry { answer, asked_at }, self.entries_max);
    }

    pub(crate) fn forget(&self, keys: &[K]) {
        let mut known = self.known.lock();
        known.changes += 1;
        for key in keys {
            known.young.remove(key);
            known.old.remove(key);
        }
    }

    /// Forgets the answers for which it holds: looks at all of them, so only for what is rare.
    pub(crate) fn forget_where(&self, is_gone: impl Fn(&V) -> bool) {
        let mut known = self.known.lock();
        known.changes += 1;
        known.young.retain(|_, entry| !is_gone(&entry.answer));
        known.old.retain(|_, entry| !is_gone(&entry.answer));
    }

    /// For when it is not known what has changed.
    pub(crate) fn forget_all(&self) {
        let mut known = self.known.lock();
        known.changes += 1;
        known.young = HashMap::new();
        known.old = HashMap::new();
    }

    pub(crate) fn len(&self) -> usize {
        let known = self.known.lock();
        known.young.len() + known.old.len()
    }

    pub(crate) fn entries_max(&self) -> usize {
        self.entries_max
    }
}

impl<K: Copy + Eq + Hash, V> Known<K, V> {
    fn get(&mut self, key: K, entries_max: usize) -> Option<&Entry<V>> {
        if let Some(entry) = self.old.remove(&key) {
            self.keep(key, entry, entries_max);
        }
        self.young.get(&key)
    }

    fn keep(&mut self, key: K, entry: Entry<V>, entries_max: usize) {
        if self.young.len() >= entries_max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, entry);
    }
}

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            changes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1_000;

    async fn after(millis: u64) {
        tokio::time::advance(Duration::from_millis(millis)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_for_a_second_from_when_it_was_asked_for() {
        let answers = Answers::at_most(MAX);
        let question = answers.ask();
        after(400).await;
        answers.remember(question, 1, "one");
        after(599).await;
        assert_eq!(answers.get(1), Some("one"));
        after(1).await;
        assert_eq!(answers.get(1), None);
        assert_eq!(answers.get_within(1, 2 * REVOKED_WITHIN), Some("one"));
        assert_eq!(answers.last_known(1), Some("one"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_a_change_is_not_remembered() {
        let answers = Answers::at_most(MAX);
        let changes: [fn(&Answers<u8, u8>); 3] = [
            |answers| answers.forget(&[9]),
            |answers| answers.forget_where(|answer| *answer == 9),
            Answers::forget_all,
        ];
        for change in changes {
            let question = answers.ask();
            change(&answers);
            answers.remember(question, 1, 1);
            assert_eq!(answers.get(1), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_forgotten_is_forgotten_in_both_halves_and_nothing_else() {
        let answers = Answers::at_most(4);
        let remember = |key: u8| answers.remember(answers.ask(), key, key % 2);
        (1..=3).for_each(remember);
        answers.forget(&[1, 3]);
        assert_eq!([1, 2, 3].map(|key| answers.get(key)), [None, Some(0), None]);
        (1..=3).for_each(remember);
        answers.forget_where(|answer| *answer == 1);
        assert_eq!([1, 2, 3].map(|key| answers.get(key)), [None, Some(0), None]);
        answers.forget_all();
        assert_eq!((answers.get(2), answers.len()), (None, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_newer_stays() {
        let answers = Answers::at_most(MAX);
        let (first, then) = (answers.ask(), answers.ask());
        answers.remember_unless(then, 1, 2, |known, answer| known > answer);
        answers.remember_unless(first, 1, 1, |known, answer| known > answer);
        assert_eq!(answers.get(1), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_remembered_than_the_bound_and_what_is_in_use_stays() {
        let answers = Answers::at_most(MAX);
        answers.remember(answers.ask(), usize::MAX, ());
        for nth in 0..MAX * 2 {
            answers.remember(answers.ask(), nth, ());
            if nth % (MAX / 10) == 0 {
                assert_eq!(answers.get(usize::MAX), Some(()));
            }
            assert!(answers.len() <= MAX);
        }
    }
}
