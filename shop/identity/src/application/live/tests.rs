use std::sync::Arc;

use jiff::Timestamp;
use stanchion::runtime::id;

use super::*;
use crate::domain::ClientGrant;
use crate::testing::standing;

fn session() -> SessionId {
    SessionId(id::new_v7())
}

async fn after(millis: u64) {
    tokio::time::advance(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_counts_for_a_second_from_when_it_was_asked_for() {
    let live = LiveSessions::default();
    let (id, who) = (session(), standing());
    let question = live.ask();
    after(400).await;
    live.remember(question, id, Some(who.clone()));
    after(599).await;
    assert_eq!(live.get(id), Some(Some(who)));
    after(1).await;
    assert_eq!(live.get(id), None);
}

#[tokio::test(start_paused = true)]
async fn while_revocations_are_heard_an_answer_counts_for_a_minute() {
    let live = LiveSessions::default();
    let (id, who) = (session(), standing());
    live.remember(live.ask(), id, Some(who.clone()));
    for _ in 0..119 {
        after(500).await;
        live.heard(Instant::now());
        assert_eq!(live.get(id), Some(Some(who.clone())));
    }
    after(500).await;
    live.heard(Instant::now());
    assert_eq!(live.get(id), None);
}

#[tokio::test(start_paused = true)]
async fn e14_when_nothing_is_heard_for_a_second_old_answers_do_not_count() {
    let live = LiveSessions::default();
    let (id, who) = (session(), standing());
    assert!(!live.hears(), "nothing was heard yet");
    live.remember(live.ask(), id, Some(who.clone()));
    live.heard(Instant::now());
    after(999).await;
    assert!(live.hears());
    after(1).await;
    assert!(!live.hears());
    assert_eq!(live.get(id), None, "cut off, it is asked for each second");
    live.heard(Instant::now());
    assert_eq!(live.get(id), Some(Some(who)), "and all was heard of since");
}

#[tokio::test(start_paused = true)]
async fn what_is_revoked_here_is_forgotten_at_once() {
    let live = LiveSessions::default();
    let (one, other, who) = (session(), session(), standing());
    live.heard(Instant::now());
    live.remember(live.ask(), one, Some(who.clone()));
    live.remember(live.ask(), other, Some(who.clone()));
    live.forget(&[one]);
    assert!(live.get(one).is_none() && live.get(other).is_some());
    live.forget_user(who.user);
    assert!(live.get(other).is_none());
    live.remember(live.ask(), one, None);
    live.forget_all();
    assert!(live.get(one).is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_a_clients_sessions_is_forgotten_when_it_changes() {
    let live = LiveSessions::default();
    let (own, granted, none, who) = (session(), session(), session(), standing());
    let client = ClientId(id::new_v7());
    let grant = ClientGrant {
        session: granted,
        client,
        user: who.user,
        scopes: "shop".parse().unwrap(),
        authenticated_at: Timestamp::UNIX_EPOCH,
    };
    let by_client = Standing {
        grant: Some(Arc::new(grant)),
        ..who.clone()
    };
    live.remember(live.ask(), own, Some(who.clone()));
    live.remember(live.ask(), granted, Some(by_client.clone()));
    live.remember(live.ask(), none, None);
    live.forget_client(ClientId(id::new_v7()));
    assert_eq!(live.get(granted), Some(Some(by_client)));
    assert_eq!(live.get(none), None, "it may have been another client's");
    live.forget_client(client);
    assert_eq!(live.get(granted), None);
    assert_eq!(live.get(own), Some(Some(who)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_revocation_is_not_remembered() {
    let live = LiveSessions::default();
    let id = session();
    let question = live.ask();
    live.forget(&[id]);
    live.remember(question, id, Some(standing()));
    assert_eq!(live.get(id), None);
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_an_earlier_epoch_of_the_user_replaces_none_of_a_later_one() {
    let live = LiveSessions::default();
    let (id, old) = (session(), standing());
    let new = Standing {
        epoch: 1,
        ..old.clone()
    };
    let (asked_first, asked_then) = (live.ask(), live.ask());
    live.remember(asked_then, id, Some(new.clone()));
    live.remember(asked_first, id, Some(old));
    assert_eq!(live.get(id), Some(Some(new)));
}

#[tokio::test(start_paused = true)]
async fn no_more_sessions_are_remembered_than_the_bound_and_those_in_use_stay() {
    let live = LiveSessions::default();
    let used = session();
    live.remember(live.ask(), used, None);
    for nth in 0..ENTRIES_MAX * 2 {
        live.remember(live.ask(), session(), None);
        if nth % 1_000 == 0 {
            assert_eq!(live.get(used), Some(None));
        }
    }
    assert!(live.len() <= ENTRIES_MAX);
}
