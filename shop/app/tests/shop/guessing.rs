//! Passwords are tried out, for many accounts and from many addresses: few are let try, nobody learns which accounts there are, and
//! who is known gets in all the while.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use futures_util::stream::{self, StreamExt};
use serde_json::json;
use stanchion_testing::servers::Redis;

use crate::support::{Answer, PASSWORD, Shop};

/// Argon2 is not what is tried here, and the callers' addresses are what a proxy says.
const SETTINGS: [(&str, &str); 2] = [
    ("SHOP__IDENTITY__HASH_MEMORY_KIB", "64"),
    ("SHOP__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
];

/// Attempts of each attack, over so many names.
const ATTEMPTS: usize = 5_000;
const NAMES: usize = 1_000;
const ADDRESSES: usize = 200;
const AT_ONCE: usize = 16;
/// How often somebody tries again who was shed.
const SHED_MAX: usize = 50;
/// How often thirty try somebody whom there is not, until that name is refused.
const ROUNDS_MAX: usize = 20;

/// What one name, one address and all together may try at once, and how much more a second; as the settings say.
const OF_NAME: (f64, f64) = (10.0, 1.0 / 30.0);
const OF_ADDRESS: (f64, f64) = (50.0, 1.0);
const OF_ALL: (f64, f64) = (1_000.0, 50.0);

#[tokio::test]
async fn of_those_who_try_passwords_out_few_get_a_try_and_the_victim_gets_in_from_her_device() {
    let shop = Shop::start_with(&SETTINGS).await;
    attacked(&shop, 1.0).await;
}

#[tokio::test]
async fn the_same_where_redis_counts_for_all_and_after_it_is_gone() {
    let Some(mut redis) = Redis::required() else {
        return;
    };
    let url = redis.url();
    // A busy machine takes longer than 15 ms: then each call would be counted where its answer came from.
    let patient = [
        ("SHOP__CACHE__URL", url.as_str()),
        ("SHOP__CACHE__TIER__BUDGET", "1s"),
    ];
    let shop = Shop::start_with(&[&SETTINGS[..], &patient].concat()).await;
    // What Redis does not say in that time is counted here, too: twice the limit at most.
    attacked(&shop, 2.0).await;
    // What was counted there is gone with it; from now on this process counts by itself.
    redis.kill().unwrap();
    let begun = Instant::now();
    let tried = guess(&shop, 100, |_| ("bob".into(), "203.0.113.200".into())).await;
    // One of them may have been under way.
    let (most, tried) = (most(OF_NAME, 1.1, begun), tally(tried));
    assert!(
        tried
            .get(&401)
            .is_some_and(|tried| (1.0..=most).contains(&(*tried as f64))),
        "{tried:?} of {most}"
    );
    assert_eq!(tried.values().sum::<usize>(), 100, "{tried:?}");
}

async fn attacked(shop: &Shop, counts: f64) {
    let ada = shop.customer("ada").await;
    let proof = log_in(shop, "ada", PASSWORD, "198.51.100.1", None)
        .await
        .expect(200);
    let proof = proof.header("device-token").unwrap().to_owned();
    // Every fifth attempt is for her.
    let name = |nth: usize| match nth % 5 {
        0 => "ada".to_owned(),
        _ => format!("user{}", nth % NAMES),
    };
    let begun = Instant::now();
    let of_one = guess(shop, ATTEMPTS, |nth| (name(nth), "203.0.113.1".into()));
    let (of_one, seen) = tokio::join!(of_one, meanwhile(shop, &proof));
    limited("from one address", &of_one, OF_ADDRESS, counts, begun);
    assert!(seen.iter().all(|status| *status == 200), "{seen:?}");

    let address = |nth: usize| format!("203.0.{}.{}", 114 + nth % ADDRESSES / 100, nth % 100);
    let of_many = guess(shop, ATTEMPTS, |nth| (name(nth), address(nth)));
    let (of_many, seen) = tokio::join!(of_many, meanwhile(shop, &proof));
    limited("from many addresses", &of_many, OF_ALL, counts, begun);
    assert!(seen.iter().all(|status| *status == 200), "{seen:?}");
    let hers: Vec<_> = of_many
        .into_iter()
        .filter(|(name, _)| name == "ada")
        .collect();
    limited("for one name", &hers, OF_NAME, counts, begun);

    guess(shop, 3, |nth| ("ada".into(), format!("198.51.102.{nth}"))).await;
    // From a device that is not known she has to wait, as somebody has whom there is not.
    let elsewhere = log_in(shop, "ada", PASSWORD, "198.51.100.9", None).await;
    elsewhere.expect_error(429, "RATE_LIMITED");
    // Those that were shed were not tried.
    let (begun, mut nobody) = (Instant::now(), Vec::new());
    let rounds = (0..ROUNDS_MAX).map(|_| {
        guess(shop, 30, |nth| {
            ("nobody".into(), format!("198.51.101.{nth}"))
        })
    });
    for round in rounds {
        nobody.extend(round.await);
        if nobody.iter().any(|(_, answer)| answer.status == 429) {
            break;
        }
    }
    let (most, nobody) = (most(OF_NAME, 1.0, begun), tally(nobody));
    assert!(
        (1.0..=most).contains(&(nobody[&401] as f64)) && nobody.contains_key(&429),
        "{nobody:?} of {most}"
    );
    from_home(shop, &proof).await.expect(200);
    ada.get("/users/me").send().await.expect(200);
}

/// What she does while others try: logs in from her device, from the attacker's own address even, and looks at products.
async fn meanwhile(shop: &Shop, proof: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..10 {
        let home = from_home(shop, proof).await;
        let products = shop.anyone().get("/products?limit=5").send().await;
        statuses.extend([home.status, products.status]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    statuses
}

/// She tries again while more passwords are hashed than can be: that is no limit of hers.
async fn from_home(shop: &Shop, proof: &str) -> Answer {
    for _ in 0..SHED_MAX {
        let home = log_in(shop, "ada", PASSWORD, "203.0.113.1", Some(proof)).await;
        if home.status != 503 {
            return home;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    log_in(shop, "ada", PASSWORD, "203.0.113.1", Some(proof)).await
}

/// Wrong passwords for names from addresses; what became of each.
async fn guess(
    shop: &Shop,
    attempts: usize,
    which: impl Fn(usize) -> (String, String),
) -> Vec<(String, Answer)> {
    let asked = (0..attempts).map(|nth| {
        let (name, address) = which(nth);
        async move {
            let wrong = format!("not the password {nth}");
            let answer = log_in(shop, &name, &wrong, &address, None).await;
            (name, answer)
        }
    });
    stream::iter(asked)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

async fn log_in(
    shop: &Shop,
    login: &str,
    password: &str,
    address: &str,
    proof: Option<&str>,
) -> Answer {
    let body = json!({"login": login, "password": password});
    let ask = shop.anyone().post("/auth/login");
    let ask = ask.header("x-forwarded-for", address);
    let ask = proof
        .into_iter()
        .fold(ask, |ask, proof| ask.header("device-token", proof));
    ask.json(&body).send().await
}

/// How many such a limit lets try since then, where it may count more than once.
fn most((burst, rate): (f64, f64), counts: f64, begun: Instant) -> f64 {
    counts * (burst + rate * begun.elapsed().as_secs_f64()) + 1.0
}

/// No more were tried than the limit allows, and who was refused is told when to come back.
fn limited(
    what: &str,
    answers: &[(String, Answer)],
    limit: (f64, f64),
    counts: f64,
    begun: Instant,
) {
    let most = most(limit, counts, begun);
    let tried = answers.iter().filter(|(_, answer)| answer.status == 401);
    let tried = tried.count();
    println!(
        "{what}: {tried} of {} were tried, {most:.0} may be",
        answers.len()
    );
    assert!((tried as f64) <= most, "{what}: {tried} of {most}");
    for (_, answer) in answers
        .iter()
        .filter(|(_, answer)| !matches!(answer.status, 401 | 503))
    {
        let answer = answer.clone().expect_error(429, "RATE_LIMITED");
        for header in [
            "retry-after",
            "ratelimit-limit",
            "ratelimit-remaining",
            "ratelimit-reset",
            "ratelimit-policy",
        ] {
            assert!(
                answer.header(header).is_some(),
                "{header}: {:?}",
                answer.headers
            );
        }
    }
}

fn tally(answers: Vec<(String, Answer)>) -> BTreeMap<u16, usize> {
    let mut tally = BTreeMap::new();
    for (_, answer) in answers {
        *tally.entry(answer.status).or_default() += 1;
    }
    tally
}
