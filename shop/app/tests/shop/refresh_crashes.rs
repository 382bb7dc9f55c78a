//! Refresh tokens of which the answer is lost: the process killed or cut off between the commit and its reply, at two
//! processes on one PostgreSQL. Row E6 of the abuse tables.

use std::time::Duration;

use futures_util::future::join_all;
use stanchion::auth::refresh::RefreshToken;
use stanchion_testing::proxy::Cut;
use tokio::time::sleep;

use crate::support::pair::{refresh, try_refresh};
use crate::support::{PASSWORD, Pair, eventually};

const OVERLAP: [(&str, &str); 1] = [("SHOP__IDENTITY__REFRESH_OVERLAP", "10s")];

/// The answer of the database is so late that the process dies before it, however late a busy machine looks. There and back it
/// takes twice as long, and the database ends a transaction in which nothing is said for two seconds: as much is left of those.
const LATE: Duration = Duration::from_millis(650);

/// Presents a token at the first process and kills that once the rotation is committed.
async fn killed_between_commit_and_reply(pair: &mut Pair, token: &str) {
    pair.proxy.delay(LATE);
    let (caller, asked) = (pair.one.anyone(), token.to_owned());
    let asking = stanchion::runtime::task::spawn("caller", async move {
        try_refresh(&caller, &asked).await.map(drop)
    });
    eventually("the rotation is committed", LATE * 20, || async {
        pair.is_used(token).await.then_some(())
    })
    .await;
    pair.one.kill();
    pair.proxy.delay(Duration::ZERO);
    let answered = asking.await.unwrap();
    assert!(answered.is_err(), "it died before it could answer");
}

#[tokio::test]
async fn e6_a_token_whose_answer_died_with_its_process_is_a_reuse_at_the_other_and_after_a_restart()
{
    let Some(mut pair) = Pair::start(&[]).await else {
        return;
    };
    let ada = pair.one.customer("ada").await;
    killed_between_commit_and_reply(&mut pair, &ada.refresh).await;
    refresh(&pair.other, &ada.refresh).await.expect(401);
    let ended = (2, Some("refresh_reused".to_owned()));
    assert_eq!(pair.family_of(&ada.refresh).await, ended);

    pair.one.restart().await;
    refresh(&pair.one, &ada.refresh).await.expect(401);

    // The same, presented first at the process that was started anew.
    let mut ada = pair.one.anyone();
    ada.log_in("ada", PASSWORD).await;
    killed_between_commit_and_reply(&mut pair, &ada.refresh).await;
    pair.one.restart().await;
    refresh(&pair.one, &ada.refresh).await.expect(401);
    assert_eq!(pair.family_of(&ada.refresh).await, ended);
}

#[tokio::test]
async fn e6_within_the_overlap_a_client_whose_answer_died_with_a_process_recovers_at_the_other() {
    let Some(mut pair) = Pair::start(&OVERLAP).await else {
        return;
    };
    let ada = pair.one.customer("ada").await;
    killed_between_commit_and_reply(&mut pair, &ada.refresh).await;
    let again = refresh(&pair.other, &ada.refresh).await.expect(200);
    let child = again.text_at("/refresh_token");
    assert_eq!(
        pair.family_of(&ada.refresh).await,
        (2, None),
        "the child that is there"
    );
    pair.one.restart().await;
    refresh(&pair.one, &child).await.expect(200);
}

#[tokio::test]
async fn e6_a_rotation_that_was_cut_between_store_and_reply_can_be_had_again_within_the_overlap_alone()
 {
    for (settings, then) in [(&[][..], 401), (&OVERLAP[..], 200)] {
        let Some(pair) = Pair::start(settings).await else {
            return;
        };
        let ada = pair.one.customer("ada").await;
        let hash = RefreshToken::parse(&ada.refresh).unwrap().hash();
        pair.proxy.cut(Cut::Reply(0), hash.as_bytes());
        let cut = refresh(&pair.one, &ada.refresh).await;
        cut.expect_error(503, "UNAVAILABLE");
        assert_eq!(pair.proxy.counts().cut_replies, 1);
        assert!(pair.is_used(&ada.refresh).await, "the store has it");

        let again = refresh(&pair.one, &ada.refresh).await.expect(then);
        if then == 200 {
            let child = again.text_at("/refresh_token");
            refresh(&pair.other, &child).await.expect(200);
        } else {
            let (_, ended) = pair.family_of(&ada.refresh).await;
            assert_eq!(ended.as_deref(), Some("refresh_reused"));
        }
    }
}

#[tokio::test]
async fn e6_a_second_use_in_the_same_second_and_in_the_next_is_refused_at_either_process() {
    let Some(pair) = Pair::start(&[]).await else {
        return;
    };
    pair.one.customer("ada").await;
    for (nth, pause) in [0, 0, 0, 0, 1, 10, 999, 1_001].into_iter().enumerate() {
        let mut ada = pair.one.anyone();
        ada.log_in("ada", PASSWORD).await;
        let given = refresh(pair.nth(nth), &ada.refresh).await.expect(200);
        sleep(Duration::from_millis(pause)).await;
        refresh(pair.nth(nth / 2), &ada.refresh).await.expect(401);
        let child = given.text_at("/refresh_token");
        refresh(pair.nth(nth), &child).await.expect(401);
    }
}

/// Killed at any moment of a race: at most one child is ever given, and the family does not survive the next use.
#[tokio::test]
async fn e6_of_fifty_at_once_at_a_process_that_is_killed_meanwhile_at_most_one_gets_a_child() {
    let Some(mut pair) = Pair::start(&[]).await else {
        return;
    };
    pair.one.customer("ada").await;
    for millis in [2, 8, 25] {
        let mut ada = pair.other.anyone();
        ada.log_in("ada", PASSWORD).await;
        let callers: Vec<_> = (0..50).map(|nth| pair.nth(nth).anyone()).collect();
        let token = ada.refresh.as_str();
        let racing = join_all(callers.iter().map(|caller| try_refresh(caller, token)));
        let (answers, ()) = tokio::join!(racing, async {
            sleep(Duration::from_millis(millis)).await;
            pair.one.kill();
        });
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        let given = answers.iter().filter(|answer| answer.status == 200);
        let given: Vec<_> = given
            .map(|answer| answer.text_at("/refresh_token"))
            .collect();
        println!(
            "killed after {millis} ms: {} answers, {} child",
            answers.len(),
            given.len()
        );
        assert!(given.len() <= 1);
        // Whatever was lost: one more use of it is a reuse.
        refresh(&pair.other, token).await.expect(401);
        pair.one.restart().await;
        for child in &given {
            refresh(&pair.one, child).await.expect(401);
        }
        let (tokens, ended) = pair.family_of(token).await;
        assert!(tokens <= 2);
        assert_eq!(ended.as_deref(), Some("refresh_reused"));
    }
}

/// With every packet held back, what a refresh takes tells how often it goes to the database and back.
#[tokio::test]
async fn a_refresh_is_one_round_trip_to_the_database() {
    let Some(pair) = Pair::start(&[]).await else {
        return;
    };
    let mut token = pair.one.customer("ada").await.refresh;
    let held = Duration::from_millis(60);
    let mut quickest = Duration::MAX;
    for nth in 0..12 {
        // The first few let the pool's connections learn the statement.
        pair.proxy
            .delay(if nth < 4 { Duration::ZERO } else { held });
        let begun = tokio::time::Instant::now();
        let next = refresh(&pair.one, &token).await.expect(200);
        if nth >= 4 {
            quickest = quickest.min(begun.elapsed());
        }
        token = next.text_at("/refresh_token");
    }
    println!("each packet held back {held:?}: a refresh takes {quickest:?}");
    assert!(quickest >= held * 2 && quickest < held * 4, "{quickest:?}");
}
