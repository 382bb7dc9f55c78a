mod copied;
mod gauge;

use secrecy::SecretString;
use stanchion::runtime::id;

use super::*;
use crate::application::ports::Credentials;
use crate::domain::{Client, PasswordHash};

const PHC: &str = "$argon2id$";

fn attempts(settings: &AttemptSettings) -> Attempts {
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let counting = Counting {
        signer: Arc::new(Signer::new(&secret).unwrap()),
        replicas: 1,
        shared: &|_, _| None,
        metrics: &Metrics::default(),
    };
    Attempts::new(settings, &counting)
}

fn from(address: &str) -> Client {
    Client::new(None, Some(address))
}

/// An attempt of that client under a name which is that user's.
async fn log_in(
    attempts: &Attempts,
    login: &str,
    client: &Client,
    user: Option<UserId>,
) -> Result<Attempt, Failure> {
    let found = user.map(|user| Credentials {
        user,
        password: PasswordHash::new(PHC.into()),
        is_active: true,
    });
    let attempt = attempts.log_in(login, client).await?;
    attempt.of(found.as_ref()).await
}

/// What that client is known by after a login of that user.
fn introduced(attempts: &Attempts, user: UserId, name: &str, client: &Client) -> Option<String> {
    let account = Account {
        user,
        names: [name, &format!("{name}@example.com")],
        password: &PasswordHash::new(PHC.into()),
    };
    attempts.introduce(&account, client)
}

/// How many wrong passwords may be tried, of so many.
async fn guesses(
    attempts: &Attempts,
    login: &str,
    client: &Client,
    user: Option<UserId>,
    many: usize,
) -> usize {
    let mut tried = 0;
    for _ in 0..many {
        if let Ok(mut attempt) = log_in(attempts, login, client, user).await {
            let matches = attempt.judged(Ok::<_, ()>(false)).await;
            tried += usize::from(matches == Ok(false));
        }
    }
    tried
}

#[tokio::test(start_paused = true)]
async fn a_name_is_limited_alike_whether_somebody_has_it_and_however_it_is_spelt() {
    let attempts = attempts(&AttemptSettings::default());
    let ada = UserId(id::new_v7());
    let some = from("203.0.113.1");
    let known = guesses(&attempts, "ada", &some, Some(ada), 15).await;
    let unknown = guesses(&attempts, "nobody", &some, None, 15).await;
    assert_eq!((known, unknown), (10, 10));
    assert_eq!(guesses(&attempts, " ADA ", &some, Some(ada), 1).await, 0);
    // Her other name has a count of its own: that they belong together is not told.
    let other = guesses(&attempts, "ada@example.com", &some, Some(ada), 15).await;
    assert_eq!(other, 10);
}

#[tokio::test(start_paused = true)]
async fn an_address_is_limited_over_all_names_and_a_network_of_ipv6_is_one() {
    let attempts = attempts(&AttemptSettings::default());
    let mut tried = 0;
    for name in 0..100 {
        let client = from(&format!("2001:db8:1:2::{name:x}"));
        tried += guesses(&attempts, &format!("user{name}"), &client, None, 1).await;
    }
    assert_eq!(tried, 50);
    let neighbour = from("2001:db8:1:3::1");
    assert_eq!(guesses(&attempts, "user99", &neighbour, None, 1).await, 1);
}

#[tokio::test(start_paused = true)]
async fn what_an_address_may_not_do_uses_up_nobodys_name() {
    let attempts = attempts(&AttemptSettings::default());
    let attacker = from("203.0.113.1");
    for name in 0..50 {
        guesses(&attempts, &format!("user{name}"), &attacker, None, 1).await;
    }
    assert_eq!(guesses(&attempts, "ada", &attacker, None, 100).await, 0);
    let honest = from("198.51.100.7");
    assert_eq!(guesses(&attempts, "ada", &honest, None, 15).await, 10);
}

#[tokio::test(start_paused = true)]
async fn who_logs_in_is_not_counted_and_ends_a_series() {
    let settings = AttemptSettings {
        failures_max: 16,
        name_burst: 100,
        ..AttemptSettings::default()
    };
    let attempts = attempts(&settings);
    let some = from("203.0.113.1");
    for _ in 0..500 {
        let mut attempt = log_in(&attempts, "ada", &some, None).await.unwrap();
        assert_eq!(attempt.judged(Ok::<_, ()>(true)).await, Ok(true));
    }
    assert_eq!(guesses(&attempts, "ada", &some, None, 3).await, 3);
    let mut attempt = log_in(&attempts, "ada", &some, None).await.unwrap();
    let _ = attempt.judged(Ok::<_, ()>(true)).await;
    assert_eq!(guesses(&attempts, "ada", &some, None, 100).await, 4);
}

#[tokio::test(start_paused = true)]
async fn consecutive_failures_end_however_patient_somebody_is() {
    let attempts = attempts(&AttemptSettings::default());
    let mut tried = 0;
    for hour in 0..24 * 30 {
        let client = from(&format!("203.0.{}.{}", hour / 250, hour % 250));
        tried += guesses(&attempts, "ada", &client, None, 2).await;
        tried += guesses(&attempts, "ada@example.com", &client, None, 2).await;
        tokio::time::advance(Duration::from_secs(3_600)).await;
    }
    assert_eq!(
        tried, 50,
        "half of a hundred; the others are for known devices"
    );
}

#[tokio::test(start_paused = true)]
async fn a_known_device_is_let_in_whatever_others_have_used_up() {
    let attempts = attempts(&AttemptSettings::default());
    let ada = UserId(id::new_v7());
    let (attacker, home) = (from("203.0.113.1"), from("203.0.113.1"));
    let proof = introduced(&attempts, ada, "ada", &home).unwrap();
    let home = home.proven_by(Some(&proof));
    let again = introduced(&attempts, ada, "ada", &home);
    assert_eq!(again, None, "it is known already");
    for name in ["ada", "ada@example.com"] {
        guesses(&attempts, name, &attacker, Some(ada), 1_000).await;
    }
    assert!(
        log_in(&attempts, "ada", &attacker, Some(ada))
            .await
            .is_err()
    );
    assert_eq!(guesses(&attempts, "ada", &home, Some(ada), 15).await, 10);
    // On another account it is as unknown as any.
    let bob = Some(UserId(id::new_v7()));
    assert!(log_in(&attempts, "bob", &home, bob).await.is_err());
    for wrong in ["", "dt_", "dt_x", &format!("{proof}x"), &proof[3..]] {
        let other = from("203.0.113.1").proven_by(Some(wrong));
        let refused = log_in(&attempts, "ada", &other, Some(ada)).await;
        assert!(refused.is_err(), "{wrong}");
    }
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(log_in(&attempts, "ada", &home, Some(ada)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn devices_of_ones_own_account_without_end_ask_no_more_for_others_than_strangers() {
    let attempts = attempts(&AttemptSettings::default());
    let (eve, mut looked_up) = (UserId(id::new_v7()), 0);
    for nth in 0..200 {
        let device = from("203.0.113.1");
        let proof = introduced(&attempts, eve, "eve", &device).unwrap();
        let device = device.proven_by(Some(&proof));
        let name = format!("user{nth}");
        if let Ok(attempt) = attempts.log_in(&name, &device).await {
            looked_up += 1;
            assert!(!attempt.is_known(), "{name}");
            drop(attempt.of(None).await.unwrap());
        }
    }
    assert_eq!(looked_up, 50, "what one address may");
}

#[tokio::test(start_paused = true)]
async fn a_device_is_known_for_as_long_as_the_password_is_the_same() {
    let attempts = attempts(&AttemptSettings::default());
    let (ada, thief) = (UserId(id::new_v7()), from("203.0.113.1"));
    let proof = introduced(&attempts, ada, "ada", &thief).unwrap();
    let thief = thief.proven_by(Some(&proof));
    let stranger = from("203.0.113.1");
    guesses(&attempts, "ada", &stranger, Some(ada), 1_000).await;
    let changed = Credentials {
        user: ada,
        password: PasswordHash::new("another".into()),
        is_active: true,
    };
    let attempt = attempts.log_in("ada", &thief).await.unwrap();
    assert!(attempt.of(Some(&changed)).await.is_err());
    assert!(log_in(&attempts, "ada", &thief, Some(ada)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_device_that_gets_known_by_another_name_keeps_its_count() {
    let attempts = attempts(&AttemptSettings::default());
    let (ada, home) = (UserId(id::new_v7()), from("203.0.113.1"));
    let proof = introduced(&attempts, ada, "ada", &home).unwrap();
    let home = home.proven_by(Some(&proof));
    let proof = introduced(&attempts, ada, "countess", &home).unwrap();
    assert_eq!(guesses(&attempts, "ada", &home, Some(ada), 15).await, 10);
    let home = home.proven_by(Some(&proof));
    assert_eq!(
        guesses(&attempts, "countess", &home, Some(ada), 15).await,
        0
    );
    let by_address = "Countess@example.com";
    assert_eq!(guesses(&attempts, by_address, &home, Some(ada), 1).await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_checked_is_not_counted() {
    let attempts = attempts(&AttemptSettings::default());
    let some = from("203.0.113.1");
    for _ in 0..100 {
        let mut attempt = log_in(&attempts, "ada", &some, None).await.unwrap();
        assert_eq!(attempt.judged(Err::<bool, _>("busy")).await, Err("busy"));
    }
    assert_eq!(guesses(&attempts, "ada", &some, None, 15).await, 10);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_on_an_attempt_has_failed() {
    let attempts = attempts(&AttemptSettings::default());
    let some = from("203.0.113.1");
    for _ in 0..10 {
        drop(log_in(&attempts, "ada", &some, None).await.unwrap());
    }
    assert!(log_in(&attempts, "ada", &some, None).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn registering_and_resetting_count_each_time_and_wrong_tokens_only() {
    let attempts = attempts(&AttemptSettings::default());
    let address = Some("203.0.113.1".parse().unwrap());
    for _ in 0..200 {
        attempts.register(address).await.unwrap();
    }
    assert!(attempts.register(address).await.is_err());
    assert!(attempts.register(None).await.is_ok());
    for _ in 0..1_000 {
        let attempt = attempts.token(address).await.unwrap();
        attempt.settled(Ok(())).await.unwrap();
    }
    let refusal = super::super::Refusal::BadRefreshToken;
    for _ in 0..200 {
        let attempt = attempts.token(address).await.unwrap();
        let failed = attempt.settled(Err::<(), _>(refusal.into())).await;
        assert!(failed.is_err());
    }
    assert!(attempts.token(address).await.is_err());
    for _ in 0..3 {
        attempts.reset(address, "ada@example.com").await.unwrap();
    }
    assert!(attempts.reset(address, "ADA@example.com").await.is_err());
    assert!(attempts.reset(address, "bob@example.com").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn letters_are_limited_by_address_and_by_whom_they_are_for() {
    let attempts = attempts(&AttemptSettings::default());
    let (one, other) = (
        Some("203.0.113.1".parse().unwrap()),
        Some("198.51.100.7".parse().unwrap()),
    );
    for nth in 0..20 {
        let email = format!("user{nth}@example.com");
        attempts.reset(one, &email).await.unwrap();
    }
    // What an address may not do uses up nobody's name.
    for _ in 0..10 {
        assert!(attempts.reset(one, "ada@example.com").await.is_err());
    }
    for _ in 0..3 {
        attempts.reset(other, "ada@example.com").await.unwrap();
    }
    assert!(attempts.reset(other, "ada@example.com").await.is_err());
    // Others' wishes for a new password do not keep her from proving her address.
    let ada = UserId(id::new_v7());
    for _ in 0..3 {
        attempts.verification(other, ada).await.unwrap();
    }
    assert!(attempts.verification(other, ada).await.is_err());
    tokio::time::advance(Duration::from_secs(600)).await;
    assert!(attempts.verification(other, ada).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_is_logged_in_tries_few_passwords_and_shuts_no_device_out() {
    let settings = AttemptSettings {
        device_every: Duration::from_secs(1),
        ..AttemptSettings::default()
    };
    let attempts = attempts(&settings);
    let (ada, home) = (UserId(id::new_v7()), from("203.0.113.1"));
    let proof = introduced(&attempts, ada, "ada", &home).unwrap();
    let home = home.proven_by(Some(&proof));
    let mut tried = 0;
    for _ in 0..1_000 {
        if let Ok(mut attempt) = attempts.change_password(ada).await {
            let _ = attempt.judged(Ok::<_, ()>(false)).await;
            tried += 1;
        }
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(tried, 25, "a quarter of a hundred, however patient");
    assert!(log_in(&attempts, "ada", &home, Some(ada)).await.is_ok());
    let bob = UserId(id::new_v7());
    let mut attempt = attempts.change_password(bob).await.unwrap();
    assert_eq!(attempt.judged(Ok::<_, ()>(true)).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_counted_for_a_client_and_what_is_right_is_not() {
    let attempts = attempts(&AttemptSettings::default());
    for _ in 0..200 {
        attempts.wrong_token("robot").await.unwrap();
    }
    assert!(attempts.wrong_token("robot").await.is_err());
    assert!(attempts.wrong_token("another").await.is_ok());
    let address = Some("203.0.113.1".parse().unwrap());
    for _ in 0..1_000 {
        attempts.token(address).await.unwrap().was_right().await;
    }
}
