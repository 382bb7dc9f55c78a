use std::time::Duration;

use stanchion_runtime::task::{self, Task};

use super::*;

/// As little as Argon2 takes: these tests are about the pool and the rules.
const CHEAP: Cost = Cost {
    memory_kib: 8,
    iterations: 1,
    lanes: 1,
};

const LONG_ENOUGH: &str = "correct horse";

fn passwords(cost: Cost, slots: usize, queue: usize) -> Passwords {
    Passwords::new(&PasswordSettings { cost, slots, queue }).unwrap()
}

fn cheap() -> Passwords {
    passwords(CHEAP, 1, QUEUE)
}

fn secret(text: impl Into<String>) -> SecretString {
    SecretString::from(text.into())
}

fn caller(passwords: &Passwords) -> Task<Result<String, PasswordError>> {
    let passwords = passwords.clone();
    task::spawn("caller", async move {
        passwords.hash(&secret(LONG_ENOUGH)).await
    })
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
async fn a_password_verifies_against_its_own_hash_only() {
    let passwords = cheap();
    let phc = passwords.hash(&secret(LONG_ENOUGH)).await.unwrap();
    assert_eq!(
        passwords.verify(Some(&phc), &secret(LONG_ENOUGH)).await,
        Ok(true)
    );
    for other in [
        "correct horsf",
        "Correct horse",
        " correct horse",
        "correct horse ",
    ] {
        assert_eq!(
            passwords.verify(Some(&phc), &secret(other)).await,
            Ok(false)
        );
    }
}

#[tokio::test]
async fn a_hash_carries_its_parameters_and_a_salt_of_its_own() {
    let passwords = passwords(Cost::default(), 1, QUEUE);
    let one = passwords.hash(&secret(LONG_ENOUGH)).await.unwrap();
    assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
    assert_ne!(one, passwords.hash(&secret(LONG_ENOUGH)).await.unwrap());
}

#[tokio::test]
async fn a_hash_of_another_cost_verifies_and_wants_a_rehash() {
    let former = passwords(
        Cost {
            iterations: 3,
            ..CHEAP
        },
        1,
        QUEUE,
    );
    let phc = former.hash(&secret(LONG_ENOUGH)).await.unwrap();
    assert!(!former.needs_rehash(&phc));
    assert!(cheap().needs_rehash(&phc));
    assert_eq!(
        cheap().verify(Some(&phc), &secret(LONG_ENOUGH)).await,
        Ok(true)
    );
    assert!(cheap().needs_rehash("no hash at all"));
}

#[tokio::test]
async fn lengths_are_checked_before_anything_is_hashed() {
    let passwords = cheap();
    let too_short = ["", "1234567", "ééééééé", "\u{65}\u{301}234567"];
    for text in too_short {
        assert_eq!(
            passwords.hash(&secret(text)).await,
            Err(PasswordError::TooShort),
            "{text}"
        );
    }
    let too_long = [
        "x".repeat(257),
        "é".repeat(513),
        "💂".repeat(257),
        "x".repeat(10 << 20),
    ];
    for text in too_long {
        assert_eq!(
            passwords.hash(&secret(text)).await,
            Err(PasswordError::TooLong)
        );
    }
    assert_eq!(passwords.stats().hashed, 0);
    for text in ["12345678".to_owned(), "x".repeat(256), "💂".repeat(256)] {
        assert!(passwords.hash(&secret(text)).await.is_ok());
    }
}

#[tokio::test]
async fn a_password_that_cannot_have_been_set_is_wrong_for_everybody_at_once() {
    let passwords = cheap();
    let phc = passwords.hash(&secret(LONG_ENOUGH)).await.unwrap();
    for text in ["short".to_owned(), "x".repeat(2_000)] {
        assert_eq!(
            passwords.verify(Some(&phc), &secret(&text)).await,
            Ok(false)
        );
        assert_eq!(passwords.verify(None, &secret(&text)).await, Ok(false));
    }
    assert_eq!(passwords.stats().hashed, 1);
}

#[tokio::test]
async fn composed_and_decomposed_letters_are_the_same_password_and_lookalikes_are_not() {
    let passwords = cheap();
    let phc = passwords
        .hash(&secret("caf\u{e9} cr\u{e8}me"))
        .await
        .unwrap();
    let decomposed = secret("cafe\u{301} cre\u{300}me");
    assert_eq!(passwords.verify(Some(&phc), &decomposed).await, Ok(true));
    let phc = passwords
        .hash(&secret("fi\u{2460}ne password"))
        .await
        .unwrap();
    assert_eq!(
        passwords
            .verify(Some(&phc), &secret("fi1ne password"))
            .await,
        Ok(false)
    );
}

#[tokio::test]
async fn nobody_costs_as_much_as_somebody_and_never_passes() {
    let passwords = cheap();
    assert_eq!(
        passwords.verify(None, &secret(LONG_ENOUGH)).await,
        Ok(false)
    );
    assert_eq!(passwords.stats().hashed, 1, "the work was done");
    assert!(
        passwords.hasher.is_current(passwords.hasher.nobody()),
        "and it was today's work"
    );
}

#[tokio::test]
async fn a_stored_hash_that_is_foreign_or_too_costly_is_unreadable() {
    let passwords = cheap();
    let salt_and_hash = "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for phc in [
        String::new(),
        "plaintext".to_owned(),
        "$2b$12$abcdefghijklmnopqrstuv".to_owned(),
        format!("$argon2i$v=19$m=8,t=1,p=1${salt_and_hash}"),
        format!("$argon2d$v=19$m=8,t=1,p=1${salt_and_hash}"),
        format!("$argon2id$v=16$m=8,t=1,p=1${salt_and_hash}"),
        format!("$argon2id$v=19$m=4194304,t=1,p=1${salt_and_hash}"),
        format!("$argon2id$v=19$m=8,t=1000000,p=1${salt_and_hash}"),
        format!("$argon2id$v=19$m=1024,t=1,p=64${salt_and_hash}"),
        "$argon2id$v=19$m=8,t=1,p=1".to_owned(),
        "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
    ] {
        let outcome = passwords.verify(Some(&phc), &secret(LONG_ENOUGH)).await;
        assert_eq!(outcome, Err(PasswordError::Unreadable), "{phc}");
        assert!(passwords.needs_rehash(&phc));
    }
}

#[test]
fn a_cost_beyond_the_limits_is_refused_at_start() {
    for cost in [
        Cost {
            memory_kib: 1 << 30,
            ..CHEAP
        },
        Cost {
            iterations: 1_000,
            ..CHEAP
        },
        Cost {
            iterations: 0,
            ..CHEAP
        },
        Cost {
            memory_kib: 1,
            ..CHEAP
        },
    ] {
        let settings = PasswordSettings {
            cost,
            slots: 1,
            queue: 1,
        };
        assert!(matches!(
            Passwords::new(&settings),
            Err(PasswordError::Failed(_))
        ));
    }
}

#[tokio::test]
async fn beyond_the_slots_and_the_queue_callers_are_turned_away_at_once() {
    let (passwords, metrics) = (passwords(CHEAP, 1, 2), Metrics::default());
    passwords.measured_by(&metrics);
    let running = passwords.pool.enter().await.unwrap();
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
    drop(running);
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    until(|| passwords.stats().running == 0).await;
    let stats = passwords.stats();
    assert_eq!((stats.waiting, stats.hashed), (0, 2));
    for _ in 0..2 {
        let told = ["waiting 0", "hashed_total 2", "shed_total 1"];
        shown(&metrics, &told);
    }
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
    let (finish, finished) = std::sync::mpsc::channel::<()>();
    let caller = {
        let passwords = passwords.clone();
        task::spawn("caller", async move {
            let work = move || finished.recv().map_err(|_| PasswordError::HashingBusy);
            passwords.run(work).await
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
    let outcome: Result<(), _> = passwords.run(|| panic!("out of memory")).await;
    assert!(matches!(outcome, Err(PasswordError::Failed(_))));
    assert!(passwords.hash(&secret(LONG_ENOUGH)).await.is_ok());
}

#[tokio::test]
async fn a_caller_that_leaves_the_queue_gives_its_place_up() {
    let passwords = passwords(CHEAP, 1, 1);
    let running = passwords.pool.enter().await.unwrap();
    let waiting = caller(&passwords);
    until(|| passwords.stats().waiting == 1).await;
    waiting.abort();
    assert!(waiting.await.is_err());
    assert_eq!(passwords.stats().waiting, 0);
    drop(running);
    assert!(passwords.hash(&secret(LONG_ENOUGH)).await.is_ok());
    assert_eq!(
        passwords.stats().hashed,
        1,
        "what only waited was never hashed"
    );
}

#[tokio::test]
async fn a_password_shows_up_in_no_error_and_no_debug_output() {
    let passwords = cheap();
    let canary = "hunter2-canary";
    let unreadable = passwords
        .verify(Some("hunter2-phc"), &secret(canary))
        .await
        .unwrap_err();
    let too_long = passwords
        .hash(&secret(canary.repeat(100)))
        .await
        .unwrap_err();
    let shown = format!("{passwords:?} {unreadable:?} {unreadable} {too_long:?} {too_long}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_generated_password_may_be_set() {
    let password = generate();
    assert_eq!(password.expose_secret().len(), 24);
    assert!(cheap().hash(&password).await.is_ok());
}

#[test]
fn half_the_cores_hash_by_default_and_at_least_one() {
    let settings = PasswordSettings::default();
    assert!(settings.slots >= 1 && settings.queue == 8);
    assert_eq!(
        settings.cost,
        Cost {
            memory_kib: 19_456,
            iterations: 2,
            lanes: 1
        }
    );
}

fn pepper() -> Pepper {
    Pepper::from_text(&secret(to_base64url(random::bytes::<32>()))).unwrap()
}

fn peppered(current: &Pepper, former: &[&Pepper]) -> Passwords {
    let former = former.iter().map(|pepper| (*pepper).clone()).collect();
    cheap().peppered(Some(current.clone()), former).unwrap()
}

async fn verifies(passwords: &Passwords, phc: &str) -> Result<bool, PasswordError> {
    let right = passwords.verify(Some(phc), &secret(LONG_ENOUGH)).await?;
    let wrong = passwords
        .verify(Some(phc), &secret("correct horsf"))
        .await?;
    assert!(!wrong, "another password passes");
    Ok(right)
}

#[tokio::test]
async fn a_hash_with_a_pepper_names_it_and_is_of_no_use_without_it() {
    let (one, other) = (pepper(), pepper());
    let phc = peppered(&one, &[])
        .hash(&secret(LONG_ENOUGH))
        .await
        .unwrap();
    assert!(phc.contains(",keyid="), "{phc}");
    assert_eq!(verifies(&peppered(&one, &[]), &phc).await, Ok(true));
    for without in [cheap(), peppered(&other, &[])] {
        let before = without.stats().hashed;
        let outcome = without.verify(Some(&phc), &secret(LONG_ENOUGH)).await;
        assert_eq!(outcome, Err(PasswordError::PepperUnknown));
        assert_eq!(without.stats().hashed, before + 1);
        assert!(without.needs_rehash(&phc));
    }
}

#[tokio::test]
async fn a_new_pepper_takes_over_hash_by_hash() {
    let (former, current) = (pepper(), pepper());
    let plain = cheap().hash(&secret(LONG_ENOUGH)).await.unwrap();
    let old = peppered(&former, &[])
        .hash(&secret(LONG_ENOUGH))
        .await
        .unwrap();
    let passwords = peppered(&current, &[&former]);
    for phc in [&plain, &old] {
        assert_eq!(verifies(&passwords, phc).await, Ok(true), "{phc}");
        assert!(passwords.needs_rehash(phc), "{phc}");
    }
    let new = passwords.hash(&secret(LONG_ENOUGH)).await.unwrap();
    assert!(!passwords.needs_rehash(&new));
    assert_eq!(verifies(&passwords, &new).await, Ok(true));
    let back = cheap().peppered(None, vec![current]).unwrap();
    assert_eq!(verifies(&back, &new).await, Ok(true));
    assert!(back.needs_rehash(&new) && !back.needs_rehash(&plain));
}

#[tokio::test]
async fn nobody_has_the_pepper_of_today() {
    let passwords = peppered(&pepper(), &[]);
    assert!(passwords.hasher.is_current(passwords.hasher.nobody()));
    let nobody = passwords.verify(None, &secret(LONG_ENOUGH)).await;
    assert_eq!(nobody, Ok(false));
}

#[test]
fn a_pepper_is_32_bytes_and_shows_its_id_alone() {
    for text in [
        "",
        "hunter2",
        &to_base64url([7; 31]),
        &to_base64url([7; 33]),
    ] {
        assert!(Pepper::from_text(&secret(text)).is_err(), "{text}");
    }
    let text = to_base64url([7; 32]);
    let shown = format!("{:?}", Pepper::from_text(&secret(&text)).unwrap());
    assert_eq!(shown.len(), "Pepper()".len() + 12);
    assert!(!shown.contains("0707"), "{shown}");
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
    let (there, thread) = passwords.run(work).await.unwrap();
    assert_eq!(thread.as_deref(), Some("password"));
    assert_eq!(there, (here + pool::NICENESS).min(19));
    assert_eq!(
        getpriority_process(None).unwrap(),
        here,
        "nobody else's has changed"
    );
}

#[tokio::test]
async fn an_unreadable_hash_takes_the_work_of_a_readable_one() {
    let passwords = cheap();
    let typed = secret(LONG_ENOUGH);
    let outcome = passwords.verify(Some("plaintext"), &typed).await;
    assert_eq!(outcome, Err(PasswordError::Unreadable));
    assert_eq!(passwords.verify(None, &typed).await, Ok(false));
    assert_eq!(passwords.stats().hashed, 2);
}
