use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use secrecy::ExposeSecret;
use shop_kernel::UserId;
use stanchion::auth::key::OperatedKeys;
use stanchion::auth::key::rotation::Haste;
use stanchion::auth::refresh::Family;
use stanchion::auth::token::ACCESS_TTL;
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;
use stanchion::sql::params;

use crate::application::Identity;
use crate::application::work::Work;
use crate::domain::{Client, ClientGrant, ClientPlan, Flow, RegisteredClient, SessionId};
use crate::testing::Store;

fn metadata() -> Metadata {
    Metadata::new(None)
}

async fn robot(identity: &Identity) -> RegisteredClient {
    let plan = ClientPlan {
        name: "Robot".into(),
        confidential: true,
        redirect_uris: Vec::new(),
        flows: BTreeSet::from([Flow::ClientCredentials]),
        scopes: "order:read".parse().unwrap(),
        resource_server: false,
    };
    let registered = identity.register_client(plan, &metadata()).await;
    registered.unwrap().0
}

fn token_of(identity: &Identity, client: &RegisteredClient) -> String {
    let issued = identity.issue_to_client(client, None).unwrap();
    issued.access.expose_secret().to_owned()
}

/// A session that the administrator let the client have.
async fn granted(identity: &Identity, client: &RegisteredClient) -> SessionId {
    let admin = identity.db.one("select id from users", params![]);
    let user = UserId(admin.await.unwrap().get(0).unwrap());
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
    let revoked = identity.revoke_token(&client, &given_back, &metadata);
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
