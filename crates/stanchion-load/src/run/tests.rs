//! In paused time: nothing is sent, a scenario takes the time that a server would.

use async_trait::async_trait;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{advance, sleep};

use super::*;

/// A server that answers one after the other, and stands still for a while at one moment.
struct Stalling {
    from: Duration,
    to: Duration,
    start: Instant,
    turn: AsyncMutex<()>,
}

#[async_trait]
impl Scenario for Stalling {
    async fn run(&self, _: &mut Caller) -> Result<(), Failure> {
        let _turn = self.turn.lock().await;
        if (self.from..self.to).contains(&self.start.elapsed()) {
            sleep_until(self.start + self.to).await;
        }
        sleep(Duration::from_millis(1)).await;
        Ok(())
    }
}

struct Taking(Duration);

#[async_trait]
impl Scenario for Taking {
    async fn run(&self, _: &mut Caller) -> Result<(), Failure> {
        sleep(self.0).await;
        Ok(())
    }
}

fn load() -> Load {
    // Nobody listens there, and nobody is asked.
    Load::new(Target::parse("http://127.0.0.1:9").unwrap())
        .rate(100.0)
        .duration(Duration::from_secs(10))
        .connections(4)
}

async fn drive(load: Load) -> Report {
    let caller = || Caller::new(Connection::new(Arc::clone(&load.target)), load.seed);
    let callers = (0..load.connections).map(|_| caller()).collect();
    load.drive(callers).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stall_is_felt_by_everything_that_was_due_meanwhile() {
    let stalling = Stalling {
        from: Duration::from_secs(3),
        to: Duration::from_secs(5),
        start: Instant::now(),
        turn: AsyncMutex::new(()),
    };
    let report = drive(load().scenario("one", 1, stalling)).await;
    assert_eq!((report.requests, report.errors), (1_000, 0));
    // Two of ten seconds stand still: a fifth of all requests waits, the first of them two seconds. A closed loop of
    // four would have seen four slow answers.
    let share = |at| {
        report
            .latency
            .curve
            .iter()
            .find(|(share, _)| *share == at)
            .unwrap()
            .1
    };
    assert!(share(0.7) < 10_000, "{report:?}");
    assert!(report.latency.p90_us > 900_000, "{report:?}");
    assert!(
        report.latency.max_us.abs_diff(2_000_000) < 20_000,
        "{report:?}"
    );
    // Half of what was due in the fourth second waits longer than a second and a half.
    assert!(report.series[3].p50_us > 1_400_000, "{report:?}");
    assert!(report.series[1].p99_us < 10_000, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_room_is_unsent_and_an_error() {
    let slow = Taking(Duration::from_secs(1));
    let load = load().waiting_max(10).scenario("slow", 1, slow);
    let report = drive(load).await;
    assert_eq!(report.requests, 1_000);
    // Four connections do four a second, and ten wait.
    assert!((930..=960).contains(&report.unsent), "{report:?}");
    assert_eq!(report.errors, report.unsent);
    assert!((3.0..=4.1).contains(&report.achieved_rate), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_given_up() {
    let slow = Taking(Duration::from_secs(60));
    let load = load()
        .rate(1.0)
        .request_timeout(Duration::from_secs(2))
        .scenario("slow", 1, slow);
    let report = drive(load).await;
    assert_eq!((report.errors, report.failures["timed out"]), (10, 10));
    assert!(report.latency.p50_us.abs_diff(2_000_000) < 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_although_nothing_is_answered() {
    let started = Instant::now();
    let slow = Taking(Duration::from_secs(3_600));
    let load = load()
        .request_timeout(Duration::from_secs(5))
        .scenario("dead", 1, slow);
    let report = drive(load).await;
    assert_eq!((report.requests, report.errors), (1_000, 1_000));
    // The last that was begun in time ends after its own time.
    assert!(
        started.elapsed() <= Duration::from_secs(21),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn warming_up_is_told_from_measuring() {
    let begun = Arc::new(Mutex::new(None));
    let (noted, start) = (Arc::clone(&begun), Instant::now());
    let load = load()
        .warm_up(Duration::from_secs(3))
        .when_begun(move || *noted.lock() = Some(start.elapsed()))
        .scenario("quick", 1, Taking(Duration::from_millis(2)));
    let report = drive(load).await;
    assert_eq!((report.requests, report.seconds), (1_000, 10.0));
    assert_eq!(*begun.lock(), Some(Duration::from_secs(3)));
    assert!((report.achieved_rate - 100.0).abs() < 1.0, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_report() {
    let run = |seed| {
        let quick = Taking(Duration::from_millis(2));
        let slow = Taking(Duration::from_millis(200));
        let load = load().arrivals(Arrivals::Poisson).seed(seed);
        drive(load.scenario("quick", 3, quick).scenario("slow", 1, slow))
    };
    let first = run(5).await;
    // Another moment of the same paused clock.
    advance(Duration::from_micros(1)).await;
    let again = run(5).await;
    assert_eq!(first.requests, again.requests);
    assert_eq!(first.scenarios[1].requests, again.scenarios[1].requests);
    assert_ne!(first.requests, run(6).await.requests);
}

#[tokio::test]
async fn settings_out_of_their_bounds_are_refused() {
    let quick = || Taking(Duration::ZERO);
    let wrong = [
        load(),
        load().scenario("none", 0, quick()),
        load().rate(0.0).scenario("one", 1, quick()),
        load().rate(f64::NAN).scenario("one", 1, quick()),
        load().connections(0).scenario("one", 1, quick()),
        load().duration(Duration::ZERO).scenario("one", 1, quick()),
        load()
            .duration(DURATION_MAX * 2)
            .scenario("one", 1, quick()),
    ];
    for load in wrong {
        let refused = load.run().await.unwrap_err();
        assert!(matches!(refused, LoadError::Setting(_)), "{refused}");
    }
}

#[tokio::test]
async fn nobody_there_is_told_before_anything_is_due() {
    let load = load().scenario("one", 1, Taking(Duration::ZERO));
    let refused = load.run().await.unwrap_err();
    assert!(
        matches!(refused, LoadError::Unreachable { .. }),
        "{refused}"
    );
}
