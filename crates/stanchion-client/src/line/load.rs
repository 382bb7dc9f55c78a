//! How busy and how fast a host is, and which of two is taken: the pure core of balancing.
//!
//! Peak EWMA (Finagle, Linkerd, tower): a moving average of what calls took that follows a slow one at once and forgets
//! it over [`DECAY`], times the calls that run there. Two hosts taken by chance, the better of the two (P2C,
//! Mitzenmacher 1996): nearly as even as looking at all, and no herd runs to the one best host.

use std::time::Duration;

use stanchion_resilience::{Dice, Moment};

/// Over what time a slow call is forgotten; Finagle's default.
const DECAY: Duration = Duration::from_secs(10);

/// What a call that failed counts as having taken at least: who fails fast must not look fast.
const FAILED_TOOK: Duration = Duration::from_secs(1);

/// What calls to a host that has never answered are thought to take: a new host gets one call, not all of them.
const UNKNOWN_TOOK: f64 = 1e9;

/// What a new host's call counts as having taken at least that was given up: one that was left after a moment, since another
/// answered first, must not make it look like the fastest of all.
const UNPROVEN_TOOK: Duration = Duration::from_millis(50);

/// What is known of one host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// The moving average in nanoseconds; zero as long as nothing is known.
    took: f64,
    at: Moment,
    running: u32,
}

impl Load {
    pub(crate) fn new(now: Moment) -> Self {
        Self {
            took: 0.0,
            at: now,
            running: 0,
        }
    }

    pub(crate) fn begin(&mut self) {
        self.running += 1;
    }

    pub(crate) fn end(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// A call took so long; a failed one counts as a slow one.
    pub(crate) fn learn(&mut self, now: Moment, took: Duration, failed: bool) {
        let took = if failed { took.max(FAILED_TOOK) } else { took };
        let took = took.as_nanos() as f64;
        let kept = self.kept(now);
        self.took = if took > self.took {
            took
        } else {
            self.took * kept + took * (1.0 - kept)
        };
        self.at = now;
    }

    /// A call was given up after so long, by a caller whose time was over or who took another's answer: it would have
    /// taken longer. Were that not known, a host that hangs would look better the longer nobody has an answer of it.
    pub(crate) fn given_up(&mut self, now: Moment, took: Duration) {
        let least = if self.took == 0.0 {
            UNPROVEN_TOOK
        } else {
            Duration::ZERO
        };
        let took = took.max(least).as_nanos() as f64;
        if took > self.took * self.kept(now) {
            self.took = took;
            self.at = now;
        }
    }

    /// What one more call there is expected to cost at `now`; less is better.
    pub(crate) fn cost(&self, now: Moment) -> f64 {
        if self.took == 0.0 {
            return f64::from(self.running) * UNKNOWN_TOOK;
        }
        self.took * self.kept(now) * f64::from(self.running + 1)
    }

    /// The share of what was known that still counts at `now`.
    fn kept(&self, now: Moment) -> f64 {
        (-now.since(self.at).as_secs_f64() / DECAY.as_secs_f64()).exp()
    }
}

/// Which of `costs` is taken: the cheaper of two that chance picks; none of none.
pub(crate) fn choose(costs: &[f64], dice: &Dice) -> Option<usize> {
    match costs.len() {
        0 => None,
        1 => Some(0),
        many => {
            let many = many as u64;
            let one = dice.number() % many;
            let other = (one + 1 + dice.number() % (many - 1)) % many;
            let (one, other) = (one as usize, other as usize);
            Some(if costs[other] < costs[one] {
                other
            } else {
                one
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn now() -> Moment {
        Moment::from_nanos(1_000_000_000_000)
    }

    #[test]
    fn a_slow_call_counts_at_once_and_is_forgotten_slowly() {
        let mut load = Load::new(now());
        load.learn(now(), 10 * MS, false);
        let fast = load.cost(now());
        load.learn(now(), 500 * MS, false);
        assert!(load.cost(now()) > 40.0 * fast);
        load.learn(now() + 10 * MS, 10 * MS, false);
        assert!(
            load.cost(now() + 10 * MS) > 40.0 * fast,
            "one good call is no excuse"
        );
        let later = now() + Duration::from_secs(60);
        load.learn(later, 10 * MS, false);
        assert!(load.cost(later) < 1.5 * fast);
    }

    #[test]
    fn a_host_that_fails_fast_does_not_look_fast() {
        let (mut failing, mut working) = (Load::new(now()), Load::new(now()));
        failing.learn(now(), MS, true);
        working.learn(now(), 100 * MS, false);
        assert!(failing.cost(now()) > working.cost(now()));
    }

    #[test]
    fn a_host_that_lets_callers_wait_in_vain_does_not_look_faster_with_time() {
        let (mut hangs, mut works) = (Load::new(now()), Load::new(now()));
        hangs.learn(now(), 2 * MS, false);
        let later = now() + Duration::from_secs(20);
        works.learn(later, 5 * MS, false);
        assert!(hangs.cost(later) < works.cost(later), "so it is asked");
        hangs.given_up(later, MS);
        let known = hangs.cost(later);
        hangs.given_up(later, 100 * MS);
        assert!(known < works.cost(later) && hangs.cost(later) > 10.0 * works.cost(later));
        hangs.given_up(later, MS);
        assert!(
            hangs.cost(later) > 10.0 * works.cost(later),
            "that one had no time says nothing"
        );
    }

    #[test]
    fn a_new_host_that_was_left_after_a_moment_does_not_look_like_the_fastest() {
        let (mut new, mut known) = (Load::new(now()), Load::new(now()));
        known.learn(now(), 5 * MS, false);
        new.given_up(now(), MS / 10);
        assert!(new.cost(now()) > known.cost(now()));
        new.given_up(now(), 200 * MS);
        assert!(new.cost(now()) > 30.0 * known.cost(now()));
    }

    #[test]
    fn a_new_host_gets_one_call_before_it_is_known() {
        let mut load = Load::new(now());
        let mut known = Load::new(now());
        known.learn(now(), 10 * MS, false);
        assert!(load.cost(now()) < known.cost(now()));
        load.begin();
        assert!(load.cost(now()) > known.cost(now()));
        load.end();
        assert!(load.cost(now()) < known.cost(now()));
    }

    #[test]
    fn calls_go_to_the_faster_hosts_and_to_the_slowest_hardly_ever() {
        let dice = Dice::seeded(11);
        let costs = [1.0, 1.0, 1.0, 50.0];
        let mut taken = [0_u32; 4];
        for _ in 0..4_000 {
            taken[choose(&costs, &dice).unwrap()] += 1;
        }
        assert_eq!(taken[3], 0, "it loses against any other");
        assert!(
            taken[..3]
                .iter()
                .all(|taken| (1_100..1_600).contains(taken)),
            "{taken:?}"
        );
        assert_eq!(choose(&[], &dice), None);
        assert_eq!(choose(&[9.0], &dice), Some(0));
    }

    #[test]
    fn equal_hosts_share_what_runs() {
        let dice = Dice::seeded(5);
        let mut loads: Vec<Load> = (0..5).map(|_| Load::new(now())).collect();
        loads
            .iter_mut()
            .for_each(|load| load.learn(now(), 10 * MS, false));
        for _ in 0..1_000 {
            let costs: Vec<f64> = loads.iter().map(|load| load.cost(now())).collect();
            loads[choose(&costs, &dice).unwrap()].begin();
        }
        let running: Vec<u32> = loads.iter().map(|load| load.running).collect();
        assert!(
            running.iter().all(|running| (190..=210).contains(running)),
            "{running:?}"
        );
    }
}
