use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use stanchion_runtime::task::{self, Task};

use super::*;

fn caller(passwords: &Passwords) -> Task<Result<String, PasswordError>> {
    let passwords = passwords.clone();
    task::spawn("caller", async move {
        passwords.hash(&secret(LONG_ENOUGH)).await
    })
}

/// One that is hashed until it is told to end.
async fn busy(passwords: &Passwords) -> Sender<()> {
    let (finish, finished) = channel();
    let place = passwords.place().unwrap();
    let work = move || finished.recv().map_err(|_| PasswordError::HashingBusy);
    drop(task::spawn("busy", place.run(work)));
    until(|| passwords.stats().running == 1).await;
    finish
}

async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not come true within 10 s");
}

#[tokio::test]
async fn beyond_the_slots_and_the_queue_callers_are_turned_away_at_once() {
    let (passwords, metrics) = (passwords(CHEAP, 1, 2), Metrics::default());
    passwords.measured_by(&metrics);
    let running = busy(&passwords).await;
    let calls = [caller(&passwords), caller(&passwords)];
    until(|| passwords.stats().waiting == 2).await;
    let stats = passwords.stats();
    assert_eq!((stats.slots, stats.running, stats.shed), (1, 1, 0));
    let told = ["running 1", "running_max 1", "waiting 2", "waiting_max 2"];
    shown(&metrics, &told);
    assert_eq!(
        passwords.verify(None, &secret(LONG_ENOUGH)).await,
        Err(PasswordError::HashingBusy)
    );
    assert_eq!(passwords.stats().shed, 1);
    running.send(()).unwrap();
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    until(|| passwords.stats().running == 0).await;
    let stats = passwords.stats();
    assert_eq!((stats.waiting, stats.hashed), (0, 3));
    for _ in 0..2 {
        let told = ["waiting 0", "hashed_total 3", "shed_total 1"];
        shown(&metrics, &told);
    }
}

#[tokio::test]
async fn a_place_that_was_had_before_is_one_of_those_that_there_are() {
    let passwords = passwords(CHEAP, 1, 1);
    let phc = passwords.hash(&secret(LONG_ENOUGH)).await.unwrap();
    let (one, other) = (passwords.place().unwrap(), passwords.place().unwrap());
    assert!(matches!(passwords.place(), Err(PasswordError::HashingBusy)));
    assert_eq!(
        passwords.hash(&secret(LONG_ENOUGH)).await,
        Err(PasswordError::HashingBusy)
    );
    drop(other);
    let verified = one.verify(Some(&phc), &secret(LONG_ENOUGH)).await;
    assert_eq!(verified, Ok(true));
    for (phc, typed, hashed) in [
        (Some(phc.as_str()), "another one", 1),
        (None, LONG_ENOUGH, 1),
        (None, "short", 0),
    ] {
        let before = passwords.stats().hashed;
        let place = passwords.place().unwrap();
        assert_eq!(place.verify(phc, &secret(typed)).await, Ok(false));
        assert_eq!(passwords.stats().hashed - before, hashed, "{typed}");
    }
    until(|| passwords.stats().running == 0).await;
    assert_eq!(passwords.stats().waiting, 0);
}

#[tokio::test]
async fn strangers_do_not_take_all_places() {
    let passwords = passwords(CHEAP, 1, 4);
    let strangers: Vec<_> = std::iter::from_fn(|| passwords.place().ok()).collect();
    assert_eq!(strangers.len(), 4, "of five");
    let known = passwords.place_of_known().unwrap();
    assert!(passwords.place_of_known().is_err());
    assert_eq!(passwords.stats().waiting, passwords.stats().queue);
    let verified = known.verify(None, &secret(LONG_ENOUGH)).await;
    assert_eq!(verified, Ok(false));
    drop(strangers);
    // Known or not, who comes first to what is for all has it.
    let all: Vec<_> = std::iter::from_fn(|| passwords.place_of_known().ok()).collect();
    assert_eq!(all.len(), 5);
}

#[track_caller]
fn shown(metrics: &Metrics, told: &[&str]) {
    let text = metrics.encode();
    for line in told {
        let line = format!("\nstanchion_passwords_{line}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_keeps_its_slot_busy_until_the_work_is_done() {
    let passwords = passwords(CHEAP, 1, 1);
    let (finish, finished) = channel::<()>();
    let caller = {
        let passwords = passwords.clone();
        task::spawn("caller", async move {
            let work = move || finished.recv().map_err(|_| PasswordError::HashingBusy);
            passwords.place()?.run(work).await
        })
    };
    until(|| passwords.stats().running == 1).await;
    caller.abort();
    assert!(caller.await.is_err());
    assert_eq!(passwords.stats().running, 1, "the work goes on");
    finish.send(()).unwrap();
    until(|| passwords.stats().running == 0).await;
    assert_eq!(passwords.stats().hashed, 1);
}

#[tokio::test]
async fn work_that_panics_fails_alone_and_frees_its_slot() {
    let passwords = passwords(CHEAP, 1, 1);
    let place = passwords.place().unwrap();
    let outcome: Result<(), _> = place.run(|| panic!("out of memory")).await;
    assert!(matches!(outcome, Err(PasswordError::Failed(_))));
    assert!(passwords.hash(&secret(LONG_ENOUGH)).await.is_ok());
}

#[tokio::test]
async fn a_caller_that_leaves_the_queue_gives_its_place_up() {
    let passwords = passwords(CHEAP, 1, 1);
    let running = busy(&passwords).await;
    let waiting = caller(&passwords);
    until(|| passwords.stats().waiting == 1).await;
    waiting.abort();
    assert!(waiting.await.is_err());
    assert_eq!(passwords.stats().waiting, 0);
    running.send(()).unwrap();
    assert!(passwords.hash(&secret(LONG_ENOUGH)).await.is_ok());
    assert_eq!(
        passwords.stats().hashed,
        2,
        "what only waited was never hashed"
    );
}

#[test]
fn half_the_cores_hash_by_default_and_at_least_one() {
    let settings = PasswordSettings::default();
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!((settings.slots, settings.queue), ((cores / 2).max(1), 8));
    assert_eq!(
        settings.cost,
        Cost {
            memory_kib: 19_456,
            iterations: 2,
            lanes: 1
        }
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn hashing_stands_back_from_all_other_threads() {
    use rustix::process::getpriority_process;

    let passwords = cheap();
    let here = getpriority_process(None).unwrap();
    let work = || {
        Ok((
            getpriority_process(None).unwrap(),
            std::thread::current().name().map(str::to_owned),
        ))
    };
    let place = passwords.place().unwrap();
    let (there, thread) = place.run(work).await.unwrap();
    assert_eq!(thread.as_deref(), Some("password"));
    assert_eq!(there, (here + pool::NICENESS).min(19));
    assert_eq!(
        getpriority_process(None).unwrap(),
        here,
        "nobody else's has changed"
    );
}
