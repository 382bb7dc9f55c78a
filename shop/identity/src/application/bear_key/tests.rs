use std::collections::BTreeSet;
use std::time::Duration;

use stanchion::auth::Subject;
use stanchion::auth::api_key::ApiKeyRow;
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::id;
use tokio::time;

use super::*;
use crate::application::api_keys::NewApiKey;
use crate::domain::RoleSet;
use crate::testing::Store;

#[test]
fn the_roles_of_its_owner_bind_a_key_and_give_it_nothing() {
    let standing = KeyStanding {
        row: ApiKeyRow {
            id: id::new_v7(),
            owner: Subject::User(id::new_v7()),
            scopes: Permissions::parse("order:read").unwrap(),
            expires_at: None,
            revoked_at: None,
        },
        roles: Some(RoleSet::of(Role::Staff)),
        last_used_at: None,
    };
    let principal = bearer(&standing).unwrap();
    assert_eq!(principal.permissions.to_string(), "order:read");
    assert!(principal.roles.is_empty());
    assert_eq!(principal.bound_by, BTreeSet::from(["staff".to_owned()]));
}

async fn key_of_a_service(identity: &Identity) -> ApiKey {
    let new = NewApiKey {
        owner: Subject::service("reports").unwrap(),
        name: "nightly".into(),
        scopes: Permissions::parse("order:read").unwrap(),
        expires_at: None,
    };
    let made = identity.create_api_key(new, &Metadata::new(None)).await;
    made.unwrap().value.0
}

/// So many wrong ones from one address, and no more.
const WRONG_MAX: u32 = 5;

/// Each question to the store for a key leaves an answer, which tells how many were asked.
#[tokio::test]
async fn of_keys_without_end_that_somebody_makes_up_few_are_asked_of_the_store() {
    let store = Store::memory().await;
    let identity = store.counting(WRONG_MAX).await;
    let (good, unknown) = (
        key_of_a_service(&identity).await,
        key_of_a_service(&identity).await,
    );
    let attacker: Option<IpAddr> = Some("203.0.113.1".parse().unwrap());
    let elsewhere: Option<IpAddr> = Some("198.51.100.7".parse().unwrap());
    let bearer = async |key: &ApiKey, from| identity.key_bearer_from(key.expose(), from).await;
    assert!(matches!(bearer(&good, attacker).await, Ok(Some(_))));

    let asked = || identity.live_keys.len();
    let before = asked();
    for nth in 0..50 {
        let answer = bearer(&ApiKey::generate(), attacker).await;
        let is_counted_out = matches!(answer, Err(Failure::Limited { .. }));
        assert_eq!(is_counted_out, nth >= WRONG_MAX, "{nth}");
    }
    assert_eq!(asked() - before, WRONG_MAX as usize);

    // What the store said of it counts no longer.
    time::pause();
    time::advance(Duration::from_secs(2)).await;
    time::resume();
    assert!(matches!(bearer(&good, attacker).await, Ok(Some(_))));
    assert!(bearer(&unknown, attacker).await.is_err());
    assert!(matches!(bearer(&unknown, elsewhere).await, Ok(Some(_))));
}
