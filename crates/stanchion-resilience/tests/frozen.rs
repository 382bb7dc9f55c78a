//! A freeze (C11): what answers at 80 % of what it can stands still for five seconds, and its clients leave and try again.
//!
//! Its limit is the adaptive one, as before a service's routes. Work whose client has gone is done all the same, as real
//! databases do it. Time is virtual, chance is seeded.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_resilience::adaptive::{Adaptive, AdaptiveSettings};
use stanchion_resilience::codel::CodelSettings;
use stanchion_resilience::deadline::Deadline;
use stanchion_resilience::{Dice, Moment, Priority};
use stanchion_runtime::task;
use tokio::sync::{Semaphore, watch};
use tokio::time::{interval, sleep, timeout};

const SLOTS: usize = 10;
const SERVICE: Duration = Duration::from_millis(20);
/// Ten slots of 20 ms are 500 a second, of which 400 are asked for.
const EACH: Duration = Duration::from_micros(2_500);
const A_SECOND: usize = 400;
/// Seconds.
const BEFORE: usize = 10;
const FROZEN: usize = 5;
const AFTER: usize = 20;
/// How long a client waits for an answer, and how often it asks again.
const PATIENCE: Duration = Duration::from_millis(500);
const RETRIES: u32 = 3;
/// Of what was asked, and when it must be there again.
const GOOD: f64 = 0.95;
const BACK_WITHIN: usize = 10;

/// Something with slots that can stand still.
struct Store {
    slots: Semaphore,
    frozen: watch::Receiver<bool>,
}

/// A service before it, and what it was asked in each second.
struct Service {
    limit: Adaptive,
    store: Arc<Store>,
    answered: Mutex<Vec<usize>>,
}

impl Store {
    async fn work(self: Arc<Self>) {
        let _slot = self.slots.acquire().await;
        sleep(SERVICE).await;
        let mut frozen = self.frozen.clone();
        let _ = frozen.wait_for(|frozen| !frozen).await;
    }
}

impl Service {
    /// Whether it was answered.
    async fn answers(&self) -> bool {
        let Ok(place) = self.limit.enter(Priority::Normal, Deadline::NONE).await else {
            return false;
        };
        let work = task::spawn("work", Arc::clone(&self.store).work());
        let done = work.await.is_ok();
        place.finish();
        done
    }

    /// A client of this second, until it is answered or has had enough.
    async fn asked(self: Arc<Self>, second: usize, dice: Dice) {
        for retry in 0..=RETRIES {
            if retry > 0 {
                sleep(Duration::from_millis(50) + dice.within(Duration::from_millis(150))).await;
            }
            if timeout(PATIENCE, self.answers()).await == Ok(true) {
                self.answered.lock()[second] += 1;
                return;
            }
        }
    }
}

/// As a server begins.
fn server() -> AdaptiveSettings {
    AdaptiveSettings {
        start: 48,
        min: 4,
        window: Duration::from_millis(100),
        queue: CodelSettings {
            target: Duration::from_millis(1),
            ..CodelSettings::default()
        },
        ..AdaptiveSettings::default()
    }
}

/// What was answered of each second's requests.
async fn run(seed: u64) -> Vec<usize> {
    let seconds = BEFORE + FROZEN + AFTER;
    let (freeze, frozen) = watch::channel(false);
    let dice = Dice::seeded(seed);
    let settings = server();
    let service = Arc::new(Service {
        limit: Adaptive::with(&settings, Dice::seeded(seed), Moment::now()),
        store: Arc::new(Store {
            slots: Semaphore::new(SLOTS),
            frozen,
        }),
        answered: Mutex::new(vec![0; seconds]),
    });
    // By the clock: a pause of half a millisecond is a whole one to tokio.
    let mut arrivals = interval(EACH);
    for second in 0..seconds {
        freeze.send_replace((BEFORE..BEFORE + FROZEN).contains(&second));
        for _ in 0..A_SECOND {
            arrivals.tick().await;
            let dice = Dice::seeded(dice.number());
            drop(task::spawn(
                "client",
                Arc::clone(&service).asked(second, dice),
            ));
        }
    }
    // Those on their way.
    sleep(Duration::from_secs(5)).await;
    let answered = service.answered.lock();
    answered.clone()
}

#[tokio::test(start_paused = true)]
async fn goodput_is_back_by_itself_after_a_freeze_at_80_percent() {
    for seed in 0..8 {
        let answered = run(seed).await;
        let is_good = |answered: &usize| *answered as f64 >= GOOD * A_SECOND as f64;
        let (before, rest) = answered.split_at(BEFORE);
        let (frozen, after) = rest.split_at(FROZEN);
        // The last second before it meets it, with its answers or its retries.
        assert!(
            before[1..BEFORE - 1].iter().all(is_good),
            "seed {seed}: {before:?}"
        );
        // Who asks at its beginning has had enough by its end.
        assert!(
            !is_good(&frozen[0]),
            "seed {seed}: it was not felt: {frozen:?}"
        );
        let bad = after.iter().rposition(|answered| !is_good(answered));
        let back = bad.map_or(0, |last| last + 1);
        println!("seed {seed}: frozen {frozen:?}, back after {back} s, then {after:?}");
        assert!(back <= BACK_WITHIN, "seed {seed}: {after:?}");
    }
}
