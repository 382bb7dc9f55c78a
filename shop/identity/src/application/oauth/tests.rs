mod codes;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use shop_kernel::UserId;
use stanchion::auth::key::OperatedKeys;
use stanchion::auth::key::rotation::Haste;
use stanchion::auth::oauth::{OpaqueToken, Prefix};
use stanchion::auth::refresh::Family;
use stanchion::auth::token::ACCESS_TTL;
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::{clock, id, task};
use stanchion::sql::params;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Presented;
use crate::application::Identity;
use crate::application::answers::REVOKED_WITHIN;
use crate::application::work::Work;
use crate::domain::{Client, ClientGrant, ClientPlan, Flow, RegisteredClient, SessionId};
use crate::testing::Store;

fn metadata() -> Metadata {
    Metadata::new(None)
}

async fn robot(identity: &Identity) -> RegisteredClient {
    registered(identity).await.0
}

async fn registered(identity: &Identity) -> (RegisteredClient, OpaqueToken) {
    let plan = ClientPlan {
        name: "Robot".into(),
        confidential: true,
        redirect_uris: Vec::new(),
        flows: BTreeSet::from([Flow::ClientCredentials]),
        scopes: "order:read".parse().unwrap(),
        resource_server: false,
    };
    let registered = identity.register_client(plan, &metadata()).await;
    let (client, secret) = registered.unwrap();
    (client, secret.unwrap())
}

fn token_of(identity: &Identity, client: &RegisteredClient) -> String {
    let issued = identity.issue_to_client(client, None).unwrap();
    issued.access.expose_secret().to_owned()
}

async fn admin(identity: &Identity) -> UserId {
    let admin = identity.db.one("select id from users", params![]);
    UserId(admin.await.unwrap().get(0).unwrap())
}

/// A session that the administrator let the client have.
async fn granted(identity: &Identity, client: &RegisteredClient) -> SessionId {
    let user = admin(identity).await;
    let now = clock::now();
    let (family, _, row) = Family::begin(user.0, now, &identity.lifetimes);
    let (metadata, from) = (metadata(), Client::new(None, None));
    let mut work = Work::begin(&identity.db, &metadata);
    let begun = identity.insert_session(&mut work, &family, &row, &from);
    begun.await.unwrap();
    let grant = ClientGrant {
        session: SessionId(family.id),
        client: client.id,
        user,
        scopes: "openid shop".parse().unwrap(),
        authenticated_at: now,
    };
    let codes = &identity.oauth.codes;
    codes.grant(work.rows(), &grant).await.unwrap();
    work.commit().await.unwrap();
    grant.session
}

/// A token is let in for 30 s after its end, because clocks differ: one that was given back is not.
#[tokio::test]
async fn a_token_that_was_given_back_is_void_for_as_long_as_any_clock_would_let_it_in() {
    let store = Store::memory().await;
    let identity = store.identity(SignedDuration::from_secs(1)).await;
    let client = robot(&identity).await;
    let (kept, given_back) = (token_of(&identity, &client), token_of(&identity, &client));
    let metadata = metadata();
    let revoked = identity.revoke_token(&client, &given_back, None, &metadata);
    assert!(revoked.await.is_ok());
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    let told = async |token: &str| identity.introspect(&client, token).await.unwrap().is_some();
    assert!(told(&kept).await, "within the leeway");
    assert!(!told(&given_back).await);
}

#[tokio::test]
async fn a_token_of_a_key_that_was_turned_elsewhere_is_not_said_to_be_worth_nothing() {
    let store = Store::memory().await;
    let (one, other) = (
        store.identity(ACCESS_TTL).await,
        store.identity(ACCESS_TTL).await,
    );
    let client = robot(&one).await;
    one.rotate(Haste::Now).await.unwrap();
    let token = token_of(&one, &client);
    let told = other.introspect(&client, &token).await.unwrap();
    assert!(told.is_some());
}

#[tokio::test]
async fn signatures_that_held_are_known_after_the_keys_were_read_again() {
    let store = Store::memory().await;
    let identity = store.identity(ACCESS_TTL).await;
    let client = robot(&identity).await;
    let token = token_of(&identity, &client);
    assert!(identity.claims_of(&token).await.is_some());
    assert_eq!(identity.tokens.ring().remembered(), 1);
    identity.reread_keys().await.unwrap();
    assert_eq!(identity.tokens.ring().remembered(), 1);
}

#[tokio::test]
async fn what_a_client_was_granted_is_known_with_its_session_and_ends_with_the_client() {
    let store = Store::memory().await;
    let identity = store.identity(ACCESS_TTL).await;
    let client = robot(&identity).await;
    let session = granted(&identity, &client).await;
    let standing = identity.standing(session).await.unwrap().unwrap();
    let scopes = &standing.grant.as_ref().unwrap().scopes;
    assert!(scopes.has("openid") && standing.is_of(client.id));
    assert!(!identity.is_own_login(session).await.unwrap());

    for enabled in [false, true] {
        let metadata = metadata();
        let changed = identity.set_client_enabled(client.id, enabled, &metadata);
        changed.await.unwrap();
        let stored = identity.standing_as_stored(session).await.unwrap();
        assert_eq!(stored.is_some(), enabled, "as other processes are told");
        let known = identity.standing(session).await.unwrap();
        assert_eq!(known.is_some(), enabled, "nothing older is remembered");
    }
}

#[tokio::test]
async fn the_roles_of_a_user_bind_a_client_and_give_it_nothing() {
    let store = Store::memory().await;
    let identity = store.identity(ACCESS_TTL).await;
    let client = robot(&identity).await;
    let session = granted(&identity, &client).await;
    let standing = identity.standing(session).await.unwrap().unwrap();
    let grant = standing.grant.as_ref().unwrap();
    let token = identity.user_token(grant, &grant.scopes, &standing.roles);
    let bearer = identity.bearer(token.unwrap().expose_secret()).await;
    let principal = bearer.unwrap().unwrap();
    assert!(principal.roles.is_empty());
    assert_eq!(principal.bound_by, BTreeSet::from(["admin".to_owned()]));
}

/// So many wrong names, secrets and tokens from one address, and no more.
const WRONG_MAX: u32 = 5;

fn presented(id: String, secret: &OpaqueToken) -> Presented {
    Presented {
        id,
        secret: Some(SecretString::from(secret.expose())),
    }
}

/// The former one would be remembered for a minute.
#[tokio::test]
async fn e14_a_secret_that_was_turned_elsewhere_is_refused_within_a_second() {
    let (store, stop) = (Store::memory().await, CancellationToken::new());
    let (one, other) = (
        store.identity(ACCESS_TTL).await,
        store.identity(ACCESS_TTL).await,
    );
    let (hears, log, until) = (Arc::clone(&other), store.log().await, stop.clone());
    drop(task::spawn("hear", async move {
        hears.hear(log.as_ref(), until).await;
    }));
    let begun = Instant::now();
    while !other.live.hears() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it does not hear"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (client, former) = registered(&one).await;
    let lets_in = async |secret: &OpaqueToken| {
        let by = presented(client.id.to_string(), secret);
        other.confidential_client(&by).await.is_ok()
    };
    assert!(lets_in(&former).await);
    let turned = one.rotate_client_secret(client.id, &metadata()).await;
    let (_, next) = turned.unwrap();
    let begun = Instant::now();
    while lets_in(&former).await {
        assert!(begun.elapsed() < REVOKED_WITHIN, "it still counts");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(lets_in(&next).await && other.live.hears());
    stop.cancel();
}

/// Each question to the store for a client leaves an answer, which tells how many were asked.
#[tokio::test]
async fn of_names_without_end_that_somebody_makes_up_few_are_asked_of_the_store() {
    let store = Store::memory().await;
    let identity = store.counting(WRONG_MAX).await;
    let (client, secret) = registered(&identity).await;
    let from: Option<IpAddr> = Some("203.0.113.1".parse().unwrap());
    let told = async |by: &Presented, from: Option<IpAddr>| {
        let proven = identity.confidential_client(by);
        identity.counted(from, &by.id, proven).await.is_ok()
    };
    let right = presented(client.id.to_string(), &secret);
    assert!(told(&right, from).await);
    let asked = || identity.oauth.live.len();
    let before = asked();
    for _ in 0..50 {
        let secret = OpaqueToken::generate(Prefix::CLIENT_SECRET);
        let made_up = presented(id::new_v7().to_string(), &secret);
        assert!(!told(&made_up, from).await);
    }
    assert_eq!(asked() - before, WRONG_MAX as usize);
    assert!(told(&right, from).await, "who is known and right is told");
    assert!(
        !told(
            &Presented {
                secret: None,
                ..right
            },
            from
        )
        .await
    );

    // The same of what a browser is sent with, where nobody proves anything.
    let other: Option<IpAddr> = Some("198.51.100.7".parse().unwrap());
    for _ in 0..50 {
        let name = id::new_v7().to_string();
        assert!(!matches!(
            identity.client_named(&name, other).await,
            Ok(Some(_))
        ));
    }
    assert_eq!(asked() - before, 2 * WRONG_MAX as usize);
    let name = client.id.to_string();
    assert!(matches!(
        identity.client_named(&name, other).await,
        Ok(Some(_))
    ));
}
