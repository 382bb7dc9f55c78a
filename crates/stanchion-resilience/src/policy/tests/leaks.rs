//! Under random cancellation.

use proptest::prelude::*;
use tokio::time::timeout;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Calls that begin, take, fail and are dropped at random moments, hedged and retried, leave nothing taken; and
    /// the breaker, whatever it went through, closes again.
    #[test]
    fn nothing_leaks_under_random_cancellation(
        calls in proptest::collection::vec((0..2_000_u64, 0..200_u64, 0..300_u64, any::<bool>()), 1..150),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let policy = given(|settings| {
                (settings.adaptive_on, settings.throttle_on) = (true, true);
                settings.timeout = 150 * MS;
                (settings.bulkhead.slots, settings.bulkhead.queue) = (3, 4);
                (settings.breaker.calls_min, settings.breaker.open) = (5, 200 * MS);
            });
            (0..20).for_each(|_| policy.hedge().unwrap().learn(20 * MS));
            let calls = calls.iter().map(|(begin, take, patience, fails)| {
                let policy = &policy;
                async move {
                    sleep(MS * *begin as u32).await;
                    let call = |_| async move {
                        sleep(MS * *take as u32).await;
                        if *fails { Err("down") } else { Ok(()) }
                    };
                    let call = policy.call(Terms::read(), &EveryError, call);
                    let _ = timeout(MS * *patience as u32, call).await;
                    assert!(policy.bulkhead().unwrap().running() <= 3);
                }
            });
            join_all(calls).await;
            sleep(1_000 * MS).await;
            let (bulkhead, adaptive) = (policy.bulkhead().unwrap(), policy.adaptive().unwrap());
            assert_eq!((bulkhead.running(), bulkhead.waiting(), adaptive.running()), (0, 0, 0));
            let breaker = policy.breaker().unwrap();
            for _ in 0..10 {
                breaker.acquire().expect("no probe is out").settle(Verdict::Success);
            }
            assert_eq!(breaker.state(), State::Closed);
        });
    }
}
