mod peppering;
mod pooling;

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

#[tokio::test]
async fn an_unreadable_hash_takes_the_work_of_a_readable_one() {
    let passwords = cheap();
    let typed = secret(LONG_ENOUGH);
    let outcome = passwords.verify(Some("plaintext"), &typed).await;
    assert_eq!(outcome, Err(PasswordError::Unreadable));
    assert_eq!(passwords.verify(None, &typed).await, Ok(false));
    assert_eq!(passwords.stats().hashed, 2);
}
