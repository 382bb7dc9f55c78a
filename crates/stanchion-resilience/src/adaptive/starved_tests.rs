//! A machine that others use too: slow is not overloaded, and overloaded is.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::tests::run;
use super::*;

const SERVICE: Duration = Duration::from_millis(20);
const SECOND: Duration = Duration::from_secs(1);
/// How many times slower all calls are while others have the cores.
const STOLEN: u32 = 3;

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

/// Callers that ask again as soon as they are answered, on a machine of these cores or of any number.
struct Callers {
    limit: Adaptive,
    kind: Kind,
    cores: Option<Rc<Semaphore>>,
    takes: Rc<Cell<Duration>>,
    refused: Rc<Cell<u32>>,
    answered: Rc<Cell<u32>>,
}

impl Callers {
    fn new(limit: Adaptive, cores: Option<usize>, takes: Duration) -> Self {
        Callers {
            limit,
            kind: Kind::default(),
            cores: cores.map(|cores| Rc::new(Semaphore::new(cores))),
            takes: Rc::new(Cell::new(takes)),
            refused: Rc::default(),
            answered: Rc::default(),
        }
    }

    async fn ask(&self, until: Instant) {
        while Instant::now() < until {
            let Ok(place) = self.limit.enter(Priority::Normal, Deadline::NONE).await else {
                self.refused.set(self.refused.get() + 1);
                sleep(SERVICE).await;
                continue;
            };
            let core = match &self.cores {
                Some(cores) => Some(cores.acquire().await.unwrap()),
                None => None,
            };
            sleep(self.takes.get()).await;
            drop(core);
            place.of_kind(self.kind.clone()).finish();
            self.answered.set(self.answered.get() + 1);
        }
    }

    /// So many of them for so long; how many calls were refused.
    async fn run(&self, callers: u32, span: Duration) -> u32 {
        self.refused.set(0);
        let until = Instant::now() + span;
        join_all((0..callers).map(|_| self.ask(until))).await;
        self.refused.get()
    }
}

#[tokio::test(start_paused = true)]
async fn when_others_take_the_processor_nobody_of_an_ordinary_load_is_refused() {
    for settings in [server(), AdaptiveSettings::default()] {
        for is_mixed in [false, true] {
            let now = Moment::now();
            let limit = if is_mixed {
                Adaptive::mixed(&settings, Dice::seeded(1), now)
            } else {
                Adaptive::with(&settings, Dice::seeded(1), now)
            };
            let callers = Callers::new(limit.clone(), None, SERVICE);
            callers.run(1, SECOND).await;
            callers.run(32, SECOND * 10).await;
            callers.takes.set(SERVICE * STOLEN);
            let refused = callers.run(32, SECOND * 10).await;
            println!("limit {} while they are slow", limit.limit());
            assert_eq!(refused, 0, "mixed {is_mixed}, limit {}", limit.limit());
            callers.takes.set(SERVICE);
            assert_eq!(callers.run(32, SECOND * 10).await, 0);
        }
    }
}

/// Work that is all computation: 32 callers on two cores, of which others have two thirds, from the first moment on.
#[tokio::test(start_paused = true)]
async fn a_server_that_starts_on_a_busy_machine_refuses_nobody_of_an_ordinary_load() {
    let limit = Adaptive::mixed(&server(), Dice::seeded(2), Moment::now());
    let callers = Callers::new(limit.clone(), Some(2), Duration::from_millis(2) * STOLEN);
    assert_eq!(callers.run(32, SECOND * 10).await, 0);
    assert!(callers.answered.get() > 3_000, "{}", callers.answered.get());
    assert_eq!(limit.limit(), server().start);
}

#[test]
fn an_overload_is_limited_whoever_took_the_processor() {
    for (stolen, seed) in [(1, 3), (STOLEN, 4)] {
        let mut now = Moment::from_nanos(1_000_000_000);
        let limit = Adaptive::with(&server(), Dice::seeded(seed), now);
        let mut run = |rate, span| run(&limit, &mut now, 10, SERVICE * stolen, rate, span);
        run(10, SECOND * 20);
        let first = run(5_000, SECOND * 2);
        let then = run(5_000, SECOND * 58);
        let all = (first.answered + then.answered) as usize;
        let capacity = 500 * 60 / stolen as usize;
        let slow = |run: &super::tests::Run| {
            let twice = (SERVICE * stolen * 2).as_nanos() as u64;
            run.times.iter().filter(|took| **took > twice).count()
        };
        println!(
            "{all} of {capacity} answered, more than twice as slow: {} at first and {} later, limit at most {} then",
            slow(&first),
            slow(&then),
            then.limit_max
        );
        assert!(all * 100 >= capacity * 95, "{all} of {capacity}");
        // Of all the minute at its usual pace; at a third of it, a call of the first moments is one of fewer.
        assert!(
            (slow(&first) + slow(&then)) * 100 <= all * stolen as usize,
            "p99"
        );
        assert_eq!(slow(&then), 0);
        assert!(then.limit_max <= 25, "{}", then.limit_max);
    }
}

/// A core of a limit that is used to calls of 20 ms.
fn gradient(settings: &AdaptiveSettings) -> (Gradient, Moment) {
    let mut now = Moment::from_nanos(1_000_000_000);
    let mut gradient = Gradient::new(settings, Dice::seeded(5), now);
    for _ in 0..100 {
        gradient.sample(sample(now, SERVICE, 1));
        now = now + SERVICE;
    }
    (gradient, now)
}

fn sample(began: Moment, took: Duration, running: u32) -> Sample {
    Sample {
        began,
        ended: began + took,
        took,
        running,
    }
}

#[test]
fn calls_that_began_before_a_limit_fell_do_not_lower_it_again() {
    let (mut gradient, now) = gradient(&server());
    // Sixty calls of a dependency that hung for 3 s end one after the other, and everybody else is kept out.
    for call in 0..60 {
        (0..5).for_each(|_| gradient.felt());
        let hung = SECOND * 3 + Duration::from_millis(20) * call;
        gradient.sample(sample(now, hung, 60));
    }
    assert_eq!(gradient.limit(), 29, "half of 48 and a step, once");
}

#[test]
fn a_limit_that_hardly_anybody_uses_goes_back_to_its_start() {
    let (mut gradient, mut now) = gradient(&server());
    let mut at_a_time = |running, took: Duration, is_felt: bool| {
        for _ in 0..1_000 {
            if is_felt {
                gradient.felt();
            }
            gradient.sample(sample(now, took, running));
            now = now + SERVICE;
        }
        gradient.limit()
    };
    let least = at_a_time(10, SERVICE * 3, true);
    assert!(least < 10, "{least}");
    // Slow still, and nobody is kept out.
    assert_eq!(at_a_time(2, SERVICE * 3, false), 48);
    assert_eq!(at_a_time(2, SERVICE, false), 48);
}
