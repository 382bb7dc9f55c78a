//! What every inbox must do.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use stanchion_messaging::{Claim, Claimed, Inbox, InboxKey};
use stanchion_runtime::{clock, id, task};
use uuid::Uuid;

use super::{Case, cases, run_all};

type Subject = Arc<dyn Inbox>;

const CASES: &[Case<Subject>] = cases![
    a_claim_is_the_first_ones_until_it_is_answered,
    the_answer_is_given_to_every_repeat,
    another_body_under_the_same_key_is_refused,
    only_the_owner_completes_and_releases,
    a_claim_given_back_is_free_again,
    an_expired_claim_is_taken_over_and_its_owner_comes_too_late,
    of_claims_that_race_one_is_fresh,
    pruning_takes_old_answers_and_nothing_else,
];

/// Runs every case, each on a fresh and empty inbox.
///
/// # Panics
/// At the first case that fails.
pub async fn run(fresh: impl AsyncFn() -> Subject) {
    run_all("inbox", CASES, fresh).await;
}

fn key(name: &str) -> InboxKey {
    InboxKey::request("caller", "POST /orders", name)
}

fn claim_at(name: &str, now: Timestamp) -> Claim {
    Claim {
        key: key(name),
        fingerprint: [7; 32],
        owner: id::new_v7(),
        now,
        expires_at: now + SignedDuration::from_secs(30),
    }
}

fn claim(name: &str) -> Claim {
    claim_at(name, clock::now())
}

fn answered(answer: &[u8]) -> Claimed {
    Claimed::Answered {
        answer: answer.to_vec(),
        position: None,
    }
}

async fn a_claim_is_the_first_ones_until_it_is_answered(inbox: Subject) {
    assert_eq!(inbox.claim(&claim("a")).await.unwrap(), Claimed::Fresh);
    assert_eq!(inbox.claim(&claim("a")).await.unwrap(), Claimed::Running);
    assert_eq!(inbox.claim(&claim("b")).await.unwrap(), Claimed::Fresh);
}

async fn the_answer_is_given_to_every_repeat(inbox: Subject) {
    let first = claim("a");
    inbox.claim(&first).await.unwrap();
    assert!(
        inbox
            .complete(&first.key, first.owner, b"\x00answer\xff")
            .await
            .unwrap()
    );
    for _ in 0..2 {
        assert_eq!(
            inbox.claim(&claim("a")).await.unwrap(),
            answered(b"\x00answer\xff")
        );
    }
}

async fn another_body_under_the_same_key_is_refused(inbox: Subject) {
    let first = claim("a");
    let other = Claim {
        fingerprint: [8; 32],
        ..claim("a")
    };
    inbox.claim(&first).await.unwrap();
    assert_eq!(inbox.claim(&other).await.unwrap(), Claimed::Reused);
    inbox
        .complete(&first.key, first.owner, b"done")
        .await
        .unwrap();
    assert_eq!(inbox.claim(&other).await.unwrap(), Claimed::Reused);
}

async fn only_the_owner_completes_and_releases(inbox: Subject) {
    let (first, stranger) = (claim("a"), Uuid::from_u128(1));
    inbox.claim(&first).await.unwrap();
    assert!(
        !inbox
            .complete(&first.key, stranger, b"stolen")
            .await
            .unwrap()
    );
    inbox.release(&first.key, stranger).await.unwrap();
    assert_eq!(inbox.claim(&claim("a")).await.unwrap(), Claimed::Running);
    assert!(
        !inbox
            .complete(&key("unknown"), stranger, b"x")
            .await
            .unwrap()
    );
}

async fn a_claim_given_back_is_free_again(inbox: Subject) {
    let first = claim("a");
    inbox.claim(&first).await.unwrap();
    inbox.release(&first.key, first.owner).await.unwrap();
    assert_eq!(inbox.claim(&claim("a")).await.unwrap(), Claimed::Fresh);
    let second = claim("b");
    inbox.claim(&second).await.unwrap();
    inbox
        .complete(&second.key, second.owner, b"done")
        .await
        .unwrap();
    inbox.release(&second.key, second.owner).await.unwrap();
    assert_eq!(inbox.claim(&claim("b")).await.unwrap(), answered(b"done"));
}

async fn an_expired_claim_is_taken_over_and_its_owner_comes_too_late(inbox: Subject) {
    let now = clock::now();
    let first = claim_at("a", now);
    inbox.claim(&first).await.unwrap();
    let early = claim_at("a", now + SignedDuration::from_secs(29));
    assert_eq!(inbox.claim(&early).await.unwrap(), Claimed::Running);
    let late = claim_at("a", now + SignedDuration::from_secs(31));
    assert_eq!(inbox.claim(&late).await.unwrap(), Claimed::Fresh);
    assert!(
        !inbox
            .complete(&first.key, first.owner, b"late")
            .await
            .unwrap()
    );
    assert!(
        inbox
            .complete(&late.key, late.owner, b"ours")
            .await
            .unwrap()
    );
    assert_eq!(inbox.claim(&claim("a")).await.unwrap(), answered(b"ours"));
}

async fn of_claims_that_race_one_is_fresh(inbox: Subject) {
    let racers: Vec<_> = (0..16)
        .map(|_| {
            let inbox = inbox.clone();
            task::spawn(
                "racer",
                async move { inbox.claim(&claim("a")).await.unwrap() },
            )
        })
        .collect();
    let mut fresh = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Claimed::Fresh => fresh += 1,
            other => assert_eq!(other, Claimed::Running),
        }
    }
    assert_eq!(fresh, 1);
}

async fn pruning_takes_old_answers_and_nothing_else(inbox: Subject) {
    let old = clock::now() - SignedDuration::from_hours(25);
    for name in ["a", "b", "c"] {
        let claim = claim_at(name, old);
        inbox.claim(&claim).await.unwrap();
        inbox
            .complete(&claim.key, claim.owner, b"old")
            .await
            .unwrap();
    }
    let running = Claim {
        expires_at: clock::now() + SignedDuration::from_secs(30),
        ..claim_at("running", old)
    };
    inbox.claim(&running).await.unwrap();
    // Completed just now, whenever it was claimed: an inbox may go by either time, but not by neither.
    let young = claim("young");
    inbox.claim(&young).await.unwrap();
    inbox
        .complete(&young.key, young.owner, b"young")
        .await
        .unwrap();
    let before = clock::now() - SignedDuration::from_hours(24);
    let at_most_two = inbox.prune(before, 2).await.unwrap();
    assert!(at_most_two <= 2, "{at_most_two} deleted");
    let rest = inbox.prune(before, 100).await.unwrap();
    assert!(at_most_two + rest <= 3, "{} deleted", at_most_two + rest);
    assert_eq!(
        inbox.claim(&claim("young")).await.unwrap(),
        answered(b"young")
    );
    assert_eq!(
        inbox.claim(&claim("running")).await.unwrap(),
        Claimed::Running
    );
}
