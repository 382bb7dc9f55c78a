//! When an issuer's keys are asked for, decided from times alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::key::KeyRing;
use crate::key::rotation::JWKS_MAX_AGE;

/// The least that a set counts as fresh, whatever its answer says.
pub const MAX_AGE_MIN: Duration = Duration::from_secs(60);

/// The most.
pub const MAX_AGE_MAX: Duration = Duration::from_secs(3_600);

/// How long a set counts after it was fetched while the issuer does not answer.
pub const STALE_MAX: Duration = Duration::from_secs(6 * 3_600);

/// Between two fetches, whatever unknown keys are named meanwhile (row E12 of the fault tables).
pub const UNKNOWN_AGAIN: Duration = Duration::from_secs(10);

/// How long a key that the issuer did not have is not asked for again.
pub const UNKNOWN_KEPT: Duration = Duration::from_secs(60);

/// The most names of such keys that are remembered; of more, the fetches are still bounded.
pub const UNKNOWN_MAX: usize = 1_000;

/// After a failed fetch, while no key is known: the first wait, which doubles up to [`UNKNOWN_AGAIN`].
const FAILED_AGAIN: Duration = Duration::from_secs(1);

/// What is known of one issuer's keys.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    pub(super) ring: Arc<KeyRing>,
    /// Both of the last answer.
    fresh_until: Option<Instant>,
    usable_until: Option<Instant>,
    tried: Option<Instant>,
    failures: u32,
    /// Until when they are not asked for.
    unknown: HashMap<String, Instant>,
}

/// What is to be done for a token that names a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The key is there.
    Verify,
    /// It is there and used; the set is asked for again meanwhile.
    VerifyAndRefresh,
    /// The answer of a fetch is waited for.
    Fetch,
    /// The issuer is not known to have it, and is not asked now.
    Unknown,
    /// No key is known, and the issuer is not asked now.
    Unavailable,
}

impl Keeping {
    pub(super) fn step(&self, kid: &str, now: Instant) -> Step {
        let may_try = self.may_try(now);
        if !self.is_usable(now) {
            return if may_try {
                Step::Fetch
            } else {
                Step::Unavailable
            };
        }
        if self.ring.verifying(kid).is_some() {
            let is_fresh = self.fresh_until.is_some_and(|until| now < until);
            return if may_try && !is_fresh {
                Step::VerifyAndRefresh
            } else {
                Step::Verify
            };
        }
        let is_remembered = self.unknown.get(kid).is_some_and(|until| now < *until);
        if may_try && !is_remembered {
            Step::Fetch
        } else {
            Step::Unknown
        }
    }

    /// Whether keys are known that count.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        self.usable_until.is_some_and(|until| now < until)
    }

    /// A fetch begins, unless one has begun a moment ago.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        let begins = self.may_try(now);
        if begins {
            self.tried = Some(now);
        }
        begins
    }

    pub(super) fn loaded(&mut self, ring: KeyRing, max_age: Option<Duration>, now: Instant) {
        let max_age = max_age.unwrap_or(JWKS_MAX_AGE.unsigned_abs());
        self.ring = Arc::new(ring);
        self.fresh_until = Some(now + max_age.clamp(MAX_AGE_MIN, MAX_AGE_MAX));
        self.usable_until = Some(now + STALE_MAX);
        self.failures = 0;
    }

    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// The issuer was asked and did not have it.
    pub(super) fn missed(&mut self, kid: &str, now: Instant) {
        self.unknown.retain(|_, until| now < *until);
        if self.unknown.len() < UNKNOWN_MAX {
            self.unknown.insert(kid.to_owned(), now + UNKNOWN_KEPT);
        }
    }

    pub(super) fn unknown_kids(&self) -> usize {
        self.unknown.len()
    }

    fn may_try(&self, now: Instant) -> bool {
        let wait = if self.is_usable(now) {
            UNKNOWN_AGAIN
        } else {
            let doublings = self.failures.saturating_sub(1).min(4);
            (FAILED_AGAIN * (1 << doublings)).min(UNKNOWN_AGAIN)
        };
        self.tried.is_none_or(|tried| now >= tried + wait)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::SigningKey;

    fn ring() -> (KeyRing, String) {
        let key = SigningKey::generate();
        let kid = key.kid().to_owned();
        let ring = KeyRing::of(key, jiff::Timestamp::UNIX_EPOCH);
        (ring, kid)
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_set_is_used_while_fresh_renewed_when_stale_and_given_up_in_the_end() {
        let (start, (ring, kid)) = (Instant::now(), ring());
        let mut keeping = Keeping::default();
        assert_eq!(keeping.step(&kid, start), Step::Fetch);
        assert!(keeping.begin(start));
        keeping.loaded(ring, Some(secs(300)), start);
        assert_eq!(keeping.step(&kid, start + secs(299)), Step::Verify);
        let stale = start + secs(300);
        assert_eq!(keeping.step(&kid, stale), Step::VerifyAndRefresh);
        assert!(keeping.begin(stale));
        keeping.failed();
        assert_eq!(keeping.step(&kid, stale + secs(9)), Step::Verify);
        assert_eq!(keeping.step(&kid, stale + secs(10)), Step::VerifyAndRefresh);
        assert_eq!(keeping.step(&kid, start + STALE_MAX), Step::Fetch);
    }

    #[test]
    fn how_long_a_set_counts_is_bounded_both_ways() {
        let start = Instant::now();
        for (said, counted) in [
            (None, JWKS_MAX_AGE.unsigned_abs()),
            (Some(secs(0)), MAX_AGE_MIN),
            (Some(Duration::MAX), MAX_AGE_MAX),
        ] {
            let (ring, kid) = ring();
            let mut keeping = Keeping::default();
            keeping.loaded(ring, said, start);
            let before = start + counted - secs(1);
            assert_eq!(keeping.step(&kid, before), Step::Verify, "{said:?}");
            let step = keeping.step(&kid, start + counted);
            assert_eq!(step, Step::VerifyAndRefresh, "{said:?}");
        }
    }

    #[test]
    fn without_any_key_the_issuer_is_asked_again_soon_and_then_less_often() {
        let mut now = Instant::now();
        let mut keeping = Keeping::default();
        for wait in [1, 2, 4, 8, 10, 10] {
            assert!(keeping.begin(now));
            keeping.failed();
            let before = now + secs(wait) - Duration::from_millis(1);
            assert_eq!(keeping.step("a", before), Step::Unavailable);
            now += secs(wait);
            assert_eq!(keeping.step("a", now), Step::Fetch);
        }
    }

    #[test]
    fn what_the_issuer_did_not_have_is_not_asked_for_again_for_a_while() {
        let (start, (ring, kid)) = (Instant::now(), ring());
        let mut keeping = Keeping::default();
        keeping.begin(start);
        keeping.loaded(ring, None, start);
        keeping.missed("strange", start);
        let later = start + UNKNOWN_AGAIN;
        assert_eq!(keeping.step("strange", later), Step::Unknown);
        assert_eq!(keeping.step("another", later), Step::Fetch);
        assert_eq!(keeping.step("strange", start + UNKNOWN_KEPT), Step::Fetch);
        assert_eq!(keeping.step(&kid, later), Step::Verify);
        for nth in 0..2 * UNKNOWN_MAX {
            keeping.missed(&nth.to_string(), later);
        }
        assert_eq!(keeping.unknown_kids(), UNKNOWN_MAX);
    }

    proptest! {
        /// Row E12: however many tokens name however many unknown keys.
        #[test]
        fn e12_a_flood_of_unknown_keys_causes_a_fetch_in_ten_seconds_at_most(
            arrivals in prop::collection::vec((0u64..3_000, 0u32..50), 1..500),
        ) {
            let (mut now, (ring, _)) = (Instant::now(), ring());
            let mut keeping = Keeping::default();
            keeping.begin(now);
            keeping.loaded(ring, None, now);
            let mut last = now;
            for (wait, kid) in arrivals {
                now += Duration::from_millis(wait);
                let kid = kid.to_string();
                if keeping.step(&kid, now) == Step::Fetch {
                    prop_assert!(now - last >= UNKNOWN_AGAIN);
                    prop_assert!(keeping.begin(now));
                    last = now;
                    keeping.missed(&kid, now);
                }
            }
        }
    }
}
