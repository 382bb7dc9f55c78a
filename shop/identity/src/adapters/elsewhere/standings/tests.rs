use std::time::Duration;

use stanchion::runtime::id;

use super::super::tests::{NOBODY, identity_at};
use super::*;

fn told(user: &str, roles: &[&str]) -> Answer {
    read(pb::Standing {
        user_id: Some(user.to_owned()),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    })
}

fn roles(names: &[&str]) -> RoleSet {
    let user = id::new_v7().to_string();
    told(&user, names).unwrap().unwrap().roles
}

#[test]
fn roles_that_are_unknown_here_give_nothing_and_take_nothing() {
    assert_eq!(roles(&["staff", "auditor"]), RoleSet::of(Role::Staff));
    assert_eq!(
        roles(&["customer", "staff"]).permissions(),
        roles(&["staff"]).permissions()
    );
    assert!(roles(&["auditor"]).permissions().is_empty());
    assert!(roles(&[]).permissions().is_empty());
}

#[test]
fn an_id_that_is_none_is_no_answer() {
    let told = told("ada", &["admin"]);
    assert!(matches!(told, Err(NoAnswer::Other(_))), "{told:?}");
    assert_eq!(read(pb::Standing::default()), Ok(None));
}

#[test]
fn only_who_cannot_be_reached_is_out() {
    let is_out = |status: &Status| matches!(NoAnswer::of(status), NoAnswer::Out(_));
    assert!(is_out(&Status::unavailable("gone")));
    for code in [
        Code::DeadlineExceeded,
        Code::ResourceExhausted,
        Code::Internal,
        Code::Unauthenticated,
    ] {
        assert!(!is_out(&Status::new(code, "no")), "{code:?}");
    }
}

#[tokio::test]
async fn what_had_ended_stays_ended_while_identity_is_out() {
    let standings = Arc::clone(&identity_at(NOBODY).standings);
    let (known, unknown) = (SessionId(id::new_v7()), SessionId(id::new_v7()));
    standings.ended.note(known, true);
    assert_eq!(standings.of(known).await, Ok(None));
    let unknown = standings.of(unknown).await;
    assert!(matches!(unknown, Err(NoAnswer::Out(_))), "{unknown:?}");
}

#[tokio::test]
async fn a_session_is_asked_for_once_at_a_time_and_again_when_that_is_over() {
    let standings = Arc::clone(&identity_at(NOBODY).standings);
    let session = SessionId(id::new_v7());
    let one = standings.asking(session).unwrap();
    let other = standings.asking(session).unwrap();
    assert!(one.same_channel(&other));
    assert!(standings.of(session).await.is_err());
    // The place is given back right after the word.
    let given_back = tokio::time::timeout(Duration::from_secs(20), async {
        while !standings.asking.lock().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(given_back.await.is_ok(), "the place is never given back");
}
