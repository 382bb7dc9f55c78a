//! What an answer tells of who has an account, by its words and by its time.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::support::{Shop, registration};

/// The most that the medians of two kinds of request may be apart.
const APART_MAX: Duration = Duration::from_millis(1);

/// Pairs of the measurement, unless `STANCHION_PAIRS` says otherwise.
const PAIRS: usize = 2_000;

const WRONG: &str = "quite another password";

/// A pair's two times.
type Pair = (Duration, Duration);

async fn login(shop: &Shop, login: &str, password: &str) -> Duration {
    let body = json!({"login": login, "password": password});
    let request = shop.post("/auth/login").json(body);
    let began = Instant::now();
    let reply = request.send().await;
    let took = began.elapsed();
    reply.refused(401, "UNAUTHENTICATED");
    took
}

async fn reset(shop: &Shop, email: &str) -> Duration {
    let request = shop
        .post("/auth/password/reset")
        .json(json!({"email": email}));
    let began = Instant::now();
    let reply = request.send().await;
    let took = began.elapsed();
    reply.expect(202);
    took
}

fn pairs() -> usize {
    let told = std::env::var("STANCHION_PAIRS").ok();
    told.map_or(PAIRS, |text| text.parse().unwrap())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// How likely two samples of one distribution differ as much as these: Mann-Whitney, two-sided, by its normal
/// approximation, which is exact enough for hundreds.
fn likelihood(pairs: &[Pair]) -> f64 {
    let one = pairs.iter().map(|(one, _)| (*one, true));
    let other = pairs.iter().map(|(_, other)| (*other, false));
    let mut all: Vec<_> = one.chain(other).collect();
    all.sort_unstable();
    let ranks = all.iter().enumerate().filter(|(_, (_, is_one))| *is_one);
    let sum: f64 = ranks.map(|(rank, _)| rank as f64 + 1.0).sum();
    let n = pairs.len() as f64;
    let u = sum - n * (n + 1.0) / 2.0;
    let z = (u - n * n / 2.0) / (n * n * (2.0 * n + 1.0) / 12.0).sqrt();
    erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// Abramowitz and Stegun 7.1.26: right to 1.5e-7.
fn erfc(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let polynomial = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ];
    polynomial
        .iter()
        .fold(0.0, |sum, factor| (sum + factor) * t)
        * (-x * x).exp()
}

fn judge(what: &str, pairs: &[Pair]) {
    let (one, other): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    let (one, other) = (median(one), median(other));
    let apart = one.abs_diff(other);
    let mut differences: Vec<f64> = pairs
        .iter()
        .map(|(one, other)| (one.as_secs_f64() - other.as_secs_f64()) * 1e6)
        .collect();
    differences.sort_unstable_by(f64::total_cmp);
    println!(
        "{what}: {} pairs, medians {one:?} and {other:?}, {apart:?} apart; median of the differences {:.0} µs; \
         Mann-Whitney p = {:.3}",
        pairs.len(),
        differences[differences.len() / 2],
        likelihood(pairs)
    );
    assert!(apart < APART_MAX, "{what}: {apart:?} apart");
}

/// `cargo nextest run -p shop-identity --run-ignored all --no-capture an_unknown_user_takes`
#[tokio::test]
#[ignore = "2,000 pairs of hashes take two minutes of a quiet core"]
async fn an_unknown_user_takes_as_long_as_a_wrong_password() {
    let shop = Shop::with_real_hashing(8).await;
    shop.post("/users")
        .json(registration("ada"))
        .send()
        .await
        .expect(201);
    let mut measured = Vec::with_capacity(pairs());
    login(&shop, "ada", WRONG).await;
    for nth in 0..pairs() {
        // Whichever is first in a pair is now the one and now the other.
        let nobody = format!("nobody{nth}");
        measured.push(if nth % 2 == 0 {
            let known = login(&shop, "ada", WRONG).await;
            (known, login(&shop, &nobody, WRONG).await)
        } else {
            let unknown = login(&shop, &nobody, WRONG).await;
            (login(&shop, "ada", WRONG).await, unknown)
        });
    }
    judge("login, known and unknown", &measured);
}

/// `cargo nextest run -p shop-identity --run-ignored all --no-capture a_reset_for_nobody`
#[tokio::test]
#[ignore = "2,000 pairs take a minute"]
async fn a_reset_for_nobody_takes_as_long_as_for_somebody() {
    let shop = Shop::open().await.posted_but_dead().await;
    shop.post("/users")
        .json(registration("ada"))
        .send()
        .await
        .expect(201);
    let mut measured = Vec::with_capacity(pairs());
    reset(&shop, "ada@example.com").await;
    for nth in 0..pairs() {
        let nobody = format!("nobody{nth}@example.com");
        measured.push(if nth % 2 == 0 {
            let known = reset(&shop, "ada@example.com").await;
            (known, reset(&shop, &nobody).await)
        } else {
            let unknown = reset(&shop, &nobody).await;
            (reset(&shop, "ada@example.com").await, unknown)
        });
    }
    judge("reset, known and unknown", &measured);
}

#[tokio::test]
async fn known_and_unknown_users_cost_the_same_work_and_get_the_same_words() {
    let shop = Shop::open().await;
    shop.register("ada").await;
    let mut answers = Vec::new();
    for (who, password) in [
        ("ada", WRONG),
        ("ada@example.com", WRONG),
        ("nobody", WRONG),
        ("nobody@example.com", WRONG),
    ] {
        let before = shop.passwords.stats().hashed;
        let body = json!({"login": who, "password": password});
        let reply = shop.post("/auth/login").json(body).send().await;
        let hashed = shop.passwords.stats().hashed - before;
        let names: Vec<_> = reply.headers.keys().map(ToString::to_string).collect();
        answers.push((reply.status, reply.body["error"].clone(), hashed, names));
    }
    assert_eq!(answers[0].2, 1);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

/// So many under one name may fail at once.
const NAME_BURST: usize = 10;

#[tokio::test]
async fn beyond_the_limit_nothing_is_hashed_and_nobody_is_told_apart() {
    let shop = Shop::limited().await;
    shop.register("ada").await;
    let mut answers = Vec::new();
    for who in ["ada", "nobody"] {
        for _ in 0..NAME_BURST {
            login(&shop, who, WRONG).await;
        }
        let before = shop.passwords.stats().hashed;
        let body = json!({"login": who, "password": WRONG});
        let reply = shop.post("/auth/login").json(body).send().await;
        reply.refused(429, "RATE_LIMITED");
        assert_eq!(shop.passwords.stats().hashed, before, "{who}");
        let names: Vec<_> = reply.headers.keys().map(ToString::to_string).collect();
        answers.push((reply.body["error"]["message"].clone(), names));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_hash_that_nobody_can_read_any_more_looks_like_a_wrong_password() {
    let shop = Shop::open().await;
    shop.register("ada").await;
    shop.exec("update users set password_hash = 'damaged' where username = 'ada'")
        .await;
    let before = shop.passwords.stats().hashed;
    login(&shop, "ada", WRONG).await;
    assert_eq!(shop.passwords.stats().hashed - before, 1);
}

#[tokio::test]
async fn a_password_of_ten_mebibytes_is_refused_before_anything_is_hashed() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let before = shop.passwords.stats().hashed;
    let huge = "x".repeat(10 << 20);
    let body = json!({"login": "ada", "password": huge});
    let reply = shop.post("/auth/login").json(body).send().await;
    reply.refused(413, "PAYLOAD_TOO_LARGE");
    let mut body = registration("bob");
    body["password"] = json!(huge);
    let reply = shop.post("/users").json(body).send().await;
    reply.refused(413, "PAYLOAD_TOO_LARGE");
    // What passes as a body and is too long for a password.
    let long = "x".repeat(1_025);
    login(&shop, "ada", &long).await;
    login(&shop, "nobody", &long).await;
    let mut body = registration("bob");
    body["password"] = json!(long);
    let reply = shop.post("/users").json(body).send().await;
    reply.refused(422, "VALIDATION_FAILED");
    let body = json!({"current_password": long, "new_password": "long enough for it"});
    let reply = shop.post("/auth/password").by(&ada).json(body).send().await;
    reply.refused(422, "VALIDATION_FAILED");
    assert_eq!(shop.passwords.stats().hashed, before);
}

#[tokio::test]
async fn characters_count_as_they_are_hashed_so_that_no_password_fails_within() {
    let shop = Shop::open().await;
    // Eight as typed, four as composed.
    let mut body = registration("ada");
    body["password"] = json!("e\u{301}".repeat(4));
    let reply = shop.post("/users").json(body).send().await;
    reply.refused(422, "VALIDATION_FAILED");
}
