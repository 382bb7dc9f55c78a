//! Permits under random cancellation.

use proptest::prelude::*;

use super::super::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask,
    Settle(usize, bool),
    Drop(usize),
    Wait(u64),
    Reset,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Ask),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(which, good)| Step::Settle(which, good)),
        3 => any::<usize>().prop_map(Step::Drop),
        2 => (1..3_000_u64).prop_map(Step::Wait),
        1 => Just(Step::Reset),
    ];
    proptest::collection::vec(step, 1..300)
}

proptest! {
    /// Whatever was asked, settled and cancelled: once all permits are back, it closes after ten good probes.
    #[test]
    fn no_probe_leaks_under_random_cancellation(steps in steps()) {
        let settings = BreakerSettings { calls_min: 2, open_jitter: 0.0, ..BreakerSettings::default() };
        let breaker = Breaker::builder("bank", &settings).build_at(Moment::START);
        let (mut now, mut tickets) = (Moment::START, Vec::new());
        for step in steps {
            match step {
                Step::Ask => tickets.extend(breaker.try_acquire(now)),
                Step::Settle(which, good) if !tickets.is_empty() => {
                    let ticket = tickets.swap_remove(which % tickets.len());
                    breaker.record(ticket, now, if good { Verdict::Success } else { Verdict::Failure });
                }
                Step::Drop(which) if !tickets.is_empty() => {
                    let ticket = tickets.swap_remove(which % tickets.len());
                    breaker.record(ticket, now, Verdict::Ignored);
                }
                Step::Wait(millis) => now = now + Duration::from_millis(millis),
                Step::Reset => breaker.machine.force(State::Closed, now),
                Step::Settle(..) | Step::Drop(_) => {}
            }
        }
        for ticket in tickets {
            breaker.record(ticket, now, Verdict::Ignored);
        }
        now = now + settings.open;
        for _ in 0..settings.probes {
            match breaker.try_acquire(now) {
                Ok(ticket) => breaker.record(ticket, now, Verdict::Success),
                Err(refused) => prop_assert!(false, "{refused:?} in {:?}", breaker.state()),
            }
        }
        prop_assert_eq!(breaker.state(), State::Closed);
    }
}
