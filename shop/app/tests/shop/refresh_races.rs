//! Many who present one refresh token at once, at two processes on one PostgreSQL: rows E5 and E6 of the abuse tables.
//!
//! The small form runs with the suite. The full one, a thousand rounds of each story, takes longer than a test may there:
//! `SHOP_RACE_ROUNDS=1000 cargo test -p shop --test shop refresh_races -- --nocapture --test-threads=1`
//! What is left to chance comes of a printed seed, which `SHOP_RACE_SEED` gives again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use stanchion::runtime::random;
use tokio::time::{Instant, sleep};

use crate::support::pair::{refresh, try_refresh};
use crate::support::{Answer, Caller, PASSWORD, Pair};

/// Who present the same token at the same time.
const CALLERS: usize = 50;

/// Rounds of the small form.
const ROUNDS: usize = 10;

const OVERLAP: [(&str, &str); 1] = [("SHOP__IDENTITY__REFRESH_OVERLAP", "10s")];

/// How many rounds, and the seed of what is left to chance in them; both are printed.
fn rounds(story: &str) -> (usize, Dice) {
    let given = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let rounds = given("SHOP_RACE_ROUNDS").unwrap_or(ROUNDS as u64);
    let seed = given("SHOP_RACE_SEED").unwrap_or_else(|| u64::from_le_bytes(random::bytes()));
    println!("{story}: {rounds} rounds of {CALLERS}, SHOP_RACE_SEED={seed}");
    (rounds as usize, Dice(seed))
}

/// Splitmix64: what comes of a seed is always the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What fifty got for one token, some of them a moment later than the others.
async fn race(pair: &Pair, token: &str, dice: &mut Dice) -> Vec<Answer> {
    let callers = (0..CALLERS).map(|nth| {
        let late = Duration::from_micros(dice.below(3_000));
        let caller = pair.nth(nth).anyone();
        async move {
            sleep(late).await;
            try_refresh(&caller, token).await.unwrap()
        }
    });
    join_all(callers.collect::<Vec<_>>()).await
}

fn children(answers: &[Answer]) -> Vec<String> {
    let won = answers.iter().filter(|answer| answer.status == 200);
    won.map(|answer| answer.text_at("/refresh_token")).collect()
}

fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.status).or_default() += 1;
    }
    counts
}

fn add(all: &mut BTreeMap<u16, usize>, some: BTreeMap<u16, usize>) {
    for (status, count) in some {
        *all.entry(status).or_default() += count;
    }
}

async fn logged_in(pair: &Pair, name: &str) -> Caller {
    let mut caller = pair.one.anyone();
    caller.log_in(name, PASSWORD).await;
    caller
}

/// One gets a child, the others have betrayed the family: it has ended, the child with it.
async fn one_child_and_a_revoked_family() {
    let (rounds, mut dice) = rounds("no overlap");
    let Some(pair) = Pair::start(&[]).await else {
        return;
    };
    pair.one.customer("ada").await;
    let mut all = BTreeMap::new();
    for round in 0..rounds {
        let ada = logged_in(&pair, "ada").await;
        let answers = race(&pair, &ada.refresh, &mut dice).await;
        let won = children(&answers);
        assert_eq!(won.len(), 1, "round {round}: {:?}", statuses(&answers));
        let lost = answers.iter().filter(|answer| answer.status == 401).count();
        assert_eq!(lost, CALLERS - 1, "round {round}: {:?}", statuses(&answers));
        refresh(pair.nth(round), &won[0]).await.expect(401);
        let ended = (2, Some("refresh_reused".to_owned()));
        assert_eq!(pair.family_of(&won[0]).await, ended, "round {round}");
        add(&mut all, statuses(&answers));
    }
    println!("no overlap: {rounds} rounds, answers by status {all:?}");
}

/// Everybody gets the same child; who comes with the token before ends the family.
async fn the_same_child_for_everybody() {
    let (rounds, mut dice) = rounds("overlap");
    let Some(pair) = Pair::start(&OVERLAP).await else {
        return;
    };
    let ada = pair.one.customer("ada").await;
    let mut all = BTreeMap::new();
    let (mut before, mut live) = (String::new(), ada.refresh);
    for round in 0..rounds {
        let answers = race(&pair, &live, &mut dice).await;
        let won = children(&answers);
        assert_eq!(
            won.len(),
            CALLERS,
            "round {round}: {:?}",
            statuses(&answers)
        );
        let distinct: BTreeSet<_> = won.into_iter().collect();
        assert_eq!(distinct.len(), 1, "round {round}");
        before = std::mem::replace(&mut live, distinct.into_iter().next().unwrap());
        add(&mut all, statuses(&answers));
    }
    let tokens = i64::try_from(rounds + 1).unwrap();
    assert_eq!(pair.family_of(&live).await, (tokens, None));
    println!("overlap: {rounds} rounds, {tokens} tokens, answers by status {all:?}");

    refresh(&pair.one, &live).await.expect(200);
    refresh(&pair.other, &before).await.expect(401);
    refresh(&pair.one, &live).await.expect(401);
    let (_, ended) = pair.family_of(&live).await;
    assert_eq!(ended.as_deref(), Some("refresh_reused"), "a grandparent");
}

/// Whoever asks after the logout was answered gets nothing, and what was got at the same time is good for nothing.
async fn nothing_after_a_logout(settings: &[(&str, &str)]) {
    let (rounds, mut dice) = rounds("a racing logout");
    let Some(pair) = Pair::start(settings).await else {
        return;
    };
    pair.one.customer("ada").await;
    let (mut given, mut refused) = (0, 0);
    for round in 0..rounds {
        let ada = logged_in(&pair, "ada").await;
        let token = ada.refresh.as_str();
        let waits = (0..CALLERS).map(|nth| (nth, Duration::from_micros(dice.below(20_000))));
        let waits: Vec<_> = waits.collect();
        let late = Duration::from_micros(dice.below(20_000));
        let callers = join_all(waits.into_iter().map(|(nth, wait)| {
            let caller = pair.nth(nth).anyone();
            async move {
                sleep(wait).await;
                let asked = Instant::now();
                (asked, try_refresh(&caller, token).await.unwrap())
            }
        }));
        let leaving = async {
            sleep(late).await;
            let mut leaver = pair.nth(round).anyone();
            leaver.token.clone_from(&ada.token);
            let left = leaver.post("/auth/logout").json(&json!({})).send().await;
            // Who was quicker may have ended it by a reuse.
            assert!(matches!(left.status, 204 | 401), "{}", left.text);
            Instant::now()
        };
        let (answers, left) = tokio::join!(callers, leaving);
        for (asked, answer) in &answers {
            assert!(
                answer.status == 401 || *asked < left,
                "round {round}: a token after the logout"
            );
        }
        let (_, answers): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
        for child in children(&answers) {
            refresh(pair.nth(round), &child).await.expect(401);
            given += 1;
        }
        refused += answers.iter().filter(|answer| answer.status == 401).count();
    }
    println!("a racing logout: {rounds} rounds, {given} given before it, {refused} refused");
}

#[tokio::test]
async fn e5_of_fifty_at_once_at_two_processes_one_gets_a_child_and_the_family_ends() {
    one_child_and_a_revoked_family().await;
}

#[tokio::test]
async fn e5_within_the_overlap_fifty_at_once_at_two_processes_get_the_same_child() {
    the_same_child_for_everybody().await;
}

#[tokio::test]
async fn e6_no_token_comes_after_a_logout_that_races() {
    nothing_after_a_logout(&[]).await;
}

#[tokio::test]
async fn e6_within_the_overlap_no_token_comes_after_a_logout_that_races() {
    nothing_after_a_logout(&OVERLAP).await;
}
