//! Which keys may have parked messages, as far as memory tells: what the store need not be asked for each delivery.
//!
//! A message waits only behind an earlier one of its key, and a broker gives a partition's messages one after the other to
//! the member that has it. Whoever was given an earlier one has parked it, if it did, before it told the broker that it is
//! dealt with, and only then is the next one somebody else's. So a look at the store that comes after the first message of a
//! tenure (see [`Subscription::tenure`](crate::Subscription::tenure)) shows everything that others have parked of the
//! partition, and what is parked later in that tenure this member parks itself, and knows. A member that was cut off may
//! still park what this one was given again; this one deals with that in its turn, and a retry of what had its effect has
//! none. Retries, operators and other processes otherwise only let go of what is parked.
//!
//! Delayed messages have keys that no other message has. What was read from the log itself came whole since the place that
//! the subscription began with, so a log is one tenure.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::LogId;

/// Keys that are known to have parked messages, at most; where there are more the store is asked about each delivery.
pub(super) const KEYS_MAX: usize = 1_000;

/// What is known counts for so long, should a broker have given a partition to somebody else unseen.
const LASTS: Duration = Duration::from_secs(2);

/// How soon all of them are looked at again. Where members have a partition in turns each delivery is of another tenure, and to
/// look at everything that is parked costs more than to ask for a few keys.
const AGAIN: Duration = Duration::from_secs(1);

/// How soon it is looked again whether there are few enough.
const CROWDED: Duration = Duration::from_secs(30);

/// What has an order of its own and one member at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stretch {
    /// A log that is read without a broker.
    Log(LogId),
    /// A broker's partition.
    Partition(u16),
}

/// A stretch in somebody's tenure; without one it is not known whether anybody else had it.
pub(super) type Tenure = (Stretch, Option<u64>);

/// What to ask of the store.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Which of these keys have parked messages; of none it need not be asked.
    Keys(Vec<String>),
    /// Which keys have any.
    All,
}

#[derive(Default)]
pub(super) struct Waits {
    /// In which tenure each stretch was when it was last looked, and when that was.
    known: HashMap<Stretch, (u64, Instant)>,
    /// Of what is known, no other key has parked messages.
    suspects: HashSet<String>,
    /// All keys are asked for no sooner.
    all_after: Option<Instant>,
    crowded_until: Option<Instant>,
}

impl Waits {
    /// What to ask about messages of these stretches and keys.
    pub(super) fn ask(&self, of: &[Tenure], keys: HashSet<&str>, now: Instant) -> Ask {
        let is_known = |(stretch, tenure): &Tenure| {
            let known = self.known.get(stretch);
            known.is_some_and(|(looked, at)| Some(*looked) == *tenure && now < *at + LASTS)
        };
        if keys.is_empty() || of.iter().all(is_known) {
            let suspected = keys.into_iter().filter(|key| self.suspects.contains(*key));
            return Ask::Keys(suspected.map(str::to_owned).collect());
        }
        let is_before = |until: Option<Instant>| until.is_some_and(|until| now < until);
        let is_early = is_before(self.crowded_until) || is_before(self.all_after);
        if is_early || of.iter().any(|(_, tenure)| tenure.is_none()) {
            return Ask::Keys(keys.into_iter().map(str::to_owned).collect());
        }
        Ask::All
    }

    /// All keys that had parked messages when somebody looked at that time, in these tenures; `None`: too many. `since` are
    /// those that this consumer has parked since.
    pub(super) fn learn(
        &mut self,
        keys: Option<HashSet<String>>,
        since: &HashSet<String>,
        of: &[Tenure],
        at: Instant,
    ) {
        self.known.clear();
        self.all_after = Some(at + AGAIN);
        let Some(keys) = keys else {
            self.suspects.clear();
            self.crowded_until = Some(at + CROWDED);
            return;
        };
        self.crowded_until = None;
        self.suspects = keys;
        self.suspects.extend(since.iter().cloned());
        let tenures = of
            .iter()
            .filter_map(|(stretch, tenure)| Some((*stretch, (*tenure)?)));
        self.known = tenures
            .map(|(stretch, tenure)| (stretch, (tenure, at)))
            .collect();
    }

    /// This consumer has parked a message of that key.
    pub(super) fn parks(&mut self, key: &str) {
        if self.known.is_empty() {
            return;
        }
        self.suspects.insert(key.to_owned());
        if self.suspects.len() > KEYS_MAX {
            self.known.clear();
            self.suspects.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVEN: Stretch = Stretch::Partition(7);

    fn keys<'a>(keys: &[&'a str]) -> HashSet<&'a str> {
        keys.iter().copied().collect()
    }

    fn set(keys: &[&str]) -> HashSet<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    fn only(key: &str) -> Ask {
        Ask::Keys(vec![key.to_owned()])
    }

    const NOTHING: Ask = Ask::Keys(Vec::new());

    #[test]
    fn within_a_tenure_only_keys_that_may_have_parked_messages_are_asked_about() {
        let (mut waits, now) = (Waits::default(), Instant::now());
        let of = [(SEVEN, Some(1))];
        assert_eq!(waits.ask(&of, keys(&["a"]), now), Ask::All);
        waits.learn(Some(set(&["p"])), &set(&["q"]), &of, now);
        assert_eq!(waits.ask(&of, keys(&["a", "b"]), now), NOTHING);
        for parked in ["p", "q"] {
            assert_eq!(waits.ask(&of, keys(&["a", parked]), now), only(parked));
        }
        waits.parks("a");
        assert_eq!(waits.ask(&of, keys(&["a", "b"]), now), only("a"));
    }

    #[test]
    fn what_somebody_else_may_have_had_is_looked_at_anew() {
        let (mut waits, now) = (Waits::default(), Instant::now());
        let of = [(SEVEN, Some(1))];
        waits.learn(Some(set(&[])), &set(&[]), &of, now);
        for other in [
            (SEVEN, Some(2)),
            (Stretch::Partition(8), Some(1)),
            (Stretch::Log(LogId(uuid::Uuid::nil())), Some(1)),
        ] {
            let both = [of[0], other];
            assert_eq!(waits.ask(&both, keys(&["a"]), now), only("a"), "in turns");
            assert_eq!(waits.ask(&both, keys(&["a"]), now + AGAIN), Ask::All);
        }
        assert_eq!(waits.ask(&of, keys(&["a"]), now + LASTS), Ask::All);
        // A broker that does not tell.
        let untold = [of[0], (Stretch::Partition(8), None)];
        assert_eq!(waits.ask(&untold, keys(&["a"]), now), only("a"));
        assert_eq!(waits.ask(&untold, keys(&[]), now), NOTHING);
    }

    #[test]
    fn where_too_many_are_parked_each_delivery_is_asked_about() {
        let (mut waits, now) = (Waits::default(), Instant::now());
        let of = [(SEVEN, Some(1))];
        waits.learn(None, &set(&[]), &of, now);
        waits.parks("b");
        assert_eq!(waits.ask(&of, keys(&["a"]), now), only("a"));
        assert_eq!(waits.ask(&of, keys(&["a"]), now + CROWDED), Ask::All);
        waits.learn(Some(set(&[])), &set(&[]), &of, now);
        for number in 0..=KEYS_MAX {
            waits.parks(&number.to_string());
        }
        assert_eq!(waits.ask(&of, keys(&["a"]), now), only("a"));
        assert_eq!(waits.ask(&of, keys(&["a"]), now + AGAIN), Ask::All);
        assert!(waits.suspects.is_empty());
    }
}
