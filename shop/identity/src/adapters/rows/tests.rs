use jiff::{SignedDuration, Timestamp};
use shop_kernel::UserId;
use stanchion::auth::refresh::{Family, Lifetimes, RefreshHash};
use stanchion::runtime::{clock, id};
use stanchion::sql::{Db, Mode, Query, migrate, params};

use super::{SessionRows, UserRows};
use crate::application::ports::Which;
use crate::application::{SessionRepository, UserRepository};
use crate::domain::{
    Client, PasswordHash, Profile, Role, RoleSet, Session, SessionEnd, SessionId, User,
};

async fn store() -> (Db, UserId) {
    let db = Db::memory("identity").unwrap();
    migrate(&db, &[crate::migrations()], Mode::Auto)
        .await
        .unwrap();
    let profile = Profile {
        email: "ada@example.com".parse().unwrap(),
        username: "ada".parse().unwrap(),
        first_name: None,
        last_name: None,
    };
    let roles = RoleSet::of(Role::Customer);
    let user = User::register(UserId(id::new_v7()), profile, roles, clock::now());
    let hash = PasswordHash::new("$argon2id$".into());
    UserRows.create(&db, &user, &hash).await.unwrap();
    (db, user.id)
}

/// A session that was last used `age` ago.
async fn session(db: &Db, user: UserId, age: SignedDuration) -> (SessionId, RefreshHash) {
    let used_at = clock::now() - age;
    let (family, token, row) = Family::begin(user.0, used_at, &Lifetimes::default());
    let session = Session {
        id: SessionId(family.id),
        user,
        client: Client::new(None, None),
        created_at: used_at,
        last_used_at: used_at,
        expires_at: family.expires_at,
    };
    SessionRows::of(db).start(db, &session, &row).await.unwrap();
    (session.id, token.hash())
}

async fn live(db: &Db, user: UserId) -> Vec<SessionId> {
    let sessions = SessionRows::of(db)
        .list(db, user, clock::now())
        .await
        .unwrap();
    sessions.iter().map(|session| session.id).collect()
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

#[tokio::test]
async fn the_sessions_beyond_a_number_are_the_least_recently_used() {
    let (db, user) = store().await;
    let (oldest, _) = session(&db, user, hours(9)).await;
    let (newest, _) = session(&db, user, hours(1)).await;
    let (middle, _) = session(&db, user, hours(5)).await;
    let beyond = Which::Beyond(2);
    let now = clock::now();
    let rows = SessionRows::of(&db);
    let ended = rows.end(&db, user, beyond, SessionEnd::TooMany, now);
    assert_eq!(ended.await.unwrap(), [oldest]);
    assert_eq!(live(&db, user).await, [newest, middle]);
}

#[tokio::test]
async fn what_ended_long_ago_is_deleted_with_its_tokens_and_nothing_else() {
    let (db, user) = store().await;
    let (kept, _) = session(&db, user, hours(1)).await;
    let (ended, token) = session(&db, user, hours(1)).await;
    let (expired, _) = session(&db, user, hours(24 * 60)).await;
    let now = clock::now();
    let rows = SessionRows::of(&db);
    let one = Which::One(ended);
    let end = rows.end(&db, user, one, SessionEnd::LoggedOut, now);
    assert_eq!(end.await.unwrap(), [ended]);

    let prune = |before: Timestamp| rows.prune(&db, before, 10);
    assert_eq!(prune(now - hours(24)).await.unwrap(), 1);
    assert!(!sessions_in(&db).await.contains(&expired));
    assert!(rows.find_token(&db, &token, now).await.unwrap().is_some());
    assert_eq!(prune(now + hours(1)).await.unwrap(), 1);
    assert!(rows.find_token(&db, &token, now).await.unwrap().is_none());
    assert_eq!(sessions_in(&db).await, [kept]);
}

#[tokio::test]
async fn a_token_is_used_once_and_only_while_its_family_lives() {
    let (db, user) = store().await;
    let (rows, now) = (SessionRows::of(&db), clock::now());
    let (_, token) = session(&db, user, hours(1)).await;
    assert!(rows.use_token(&db, &token, now).await.unwrap());
    assert!(!rows.use_token(&db, &token, now).await.unwrap());
    let (ended, token) = session(&db, user, hours(1)).await;
    let end = rows.end(&db, user, Which::One(ended), SessionEnd::LoggedOut, now);
    end.await.unwrap();
    assert!(!rows.use_token(&db, &token, now).await.unwrap());
    let (_, token) = session(&db, user, hours(24 * 8)).await;
    assert!(!rows.use_token(&db, &token, now).await.unwrap());
}

#[tokio::test]
async fn uses_are_noted_forward_and_of_living_sessions_alone() {
    let (db, user) = store().await;
    let rows = SessionRows::of(&db);
    let (lives, _) = session(&db, user, hours(2)).await;
    let (ends, _) = session(&db, user, hours(2)).await;
    let (now, before) = (clock::now(), clock::now() - hours(1));
    let end = rows.end(&db, user, Which::One(ends), SessionEnd::LoggedOut, now);
    end.await.unwrap();
    for at in [before, now, before] {
        let uses = [(lives, at), (ends, at)];
        rows.note_uses(&db, &uses).await.unwrap();
    }
    let sql = "select id from sessions where last_used_at > $1";
    let used = db.query(sql, params![before]).await.unwrap();
    let used: Vec<_> = used
        .iter()
        .map(|row| SessionId(row.get(0).unwrap()))
        .collect();
    assert_eq!(used, [lives]);
}

#[tokio::test]
async fn each_new_epoch_of_a_user_is_one_more_and_told_with_its_sessions() {
    let (db, user) = store().await;
    let rows = SessionRows::of(&db);
    let (id, _) = session(&db, user, hours(1)).await;
    for epoch in 0..3 {
        let standing = rows.live(&db, id, clock::now()).await.unwrap().unwrap();
        assert_eq!((standing.user, standing.epoch), (user, epoch));
        rows.new_epoch(&db, user).await.unwrap();
    }
}

async fn sessions_in(on: &dyn Query) -> Vec<SessionId> {
    let rows = on
        .query("select id from sessions", params![])
        .await
        .unwrap();
    rows.iter()
        .map(|row| SessionId(row.get(0).unwrap()))
        .collect()
}
