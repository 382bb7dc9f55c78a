//! The life of the signing keys, as an operator and two replicas see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use shop_identity::StartError;
use stanchion::auth::key::rotation::Haste;
use stanchion::auth::key::{KeyEncryptionKey, KeyListing, OperatedKeys, SigningAlgorithm};
use stanchion::runtime::task;
use stanchion::sql::params;

use crate::support::{Shop, User};

fn states(keys: &[KeyListing]) -> Vec<(&str, &str)> {
    let mut states: Vec<_> = keys
        .iter()
        .map(|key| (key.algorithm.as_str(), key.state.as_str()))
        .collect();
    states.sort_unstable();
    states
}

async fn lets_in(shop: &Shop, user: &User) -> bool {
    shop.get("/users/me").by(user).send().await.status == 200
}

/// The kids that a verifier elsewhere sees.
async fn published(shop: &Shop) -> Vec<String> {
    let jwks = serde_json::to_value(shop.identity.tokens().ring().jwks()).unwrap();
    let keys = jwks["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_rotation_that_is_asked_for_publishes_the_next_key_and_changes_nothing_yet() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let keys = shop.identity.rotate(Haste::Ahead).await.unwrap();
    assert_eq!(
        states(&keys),
        [("EdDSA", "published"), ("EdDSA", "signing")]
    );
    assert_eq!(published(&shop).await.len(), 2, "others can meet it");
    let again = shop.identity.rotate(Haste::Ahead).await.unwrap();
    assert_eq!(again, keys, "once is enough");
    assert!(lets_in(&shop, &ada).await);
}

#[tokio::test]
async fn after_a_leak_every_access_token_ends_and_sessions_go_on() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let before = published(&shop).await;
    let keys = shop.identity.rotate(Haste::Leaked).await.unwrap();
    assert_eq!(states(&keys), [("EdDSA", "signing")]);
    assert_ne!(published(&shop).await, before);
    assert!(!lets_in(&shop, &ada).await);
    let body = serde_json::json!({"refresh_token": ada.refresh_token});
    let refreshed = shop.post("/auth/refresh").json(body).send().await;
    let ada = ada.with_tokens(refreshed.expect(200));
    assert!(lets_in(&shop, &ada).await);
}

/// So many minutes later, as far as the keys know, another process looks at them.
async fn later(shop: &Shop, minutes: i64) -> Shop {
    let keys = shop
        .db
        .query("select kid, since from signing_keys", params![]);
    for key in keys.await.unwrap() {
        let (kid, since): (String, Timestamp) = (key.get(0).unwrap(), key.get(1).unwrap());
        let before = since - SignedDuration::from_mins(minutes);
        let moved = "update signing_keys set since = $2 where kid = $1";
        shop.db.exec(moved, params![kid, before]).await.unwrap();
    }
    shop.replica().await
}

#[tokio::test]
async fn a_key_is_published_signs_verifies_only_and_goes_without_being_asked_to() {
    const MONTH: i64 = 30 * 24 * 60;
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let due = [
        (MONTH - 21, &[("EdDSA", "signing")][..]),
        (2, &[("EdDSA", "published"), ("EdDSA", "signing")]),
        (19, &[("EdDSA", "published"), ("EdDSA", "signing")]),
        (1, &[("EdDSA", "signing"), ("EdDSA", "verify-only")]),
        // As long as its tokens live, clocks differ, and processes may not have noticed.
        (20, &[("EdDSA", "signing"), ("EdDSA", "verify-only")]),
    ];
    for (minutes, expected) in due {
        let process = later(&shop, minutes).await;
        let keys = process.identity.list().await.unwrap();
        assert_eq!(states(&keys), expected, "{minutes} minutes later");
        assert!(lets_in(&process, &ada).await);
    }
    let last = later(&shop, 1).await;
    let keys = last.identity.list().await.unwrap();
    assert_eq!(states(&keys), [("EdDSA", "signing")]);
    assert!(!lets_in(&last, &ada).await, "her token's key is gone");
    let ada = last.login("ada").await;
    assert!(lets_in(&last, &ada).await);
}

/// Row E12: the signing key is turned under load, on two replicas, and no verification fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e12_while_the_signing_key_is_rotated_under_load_no_token_is_refused_on_either_replica() {
    let one = Shop::open().await;
    let other = one.replica().await;
    let ada = one.register("ada").await;
    let (stop, checked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let load: Vec<_> = [&one, &other]
        .into_iter()
        .map(|shop| {
            let (shop, ada) = (shop.clone(), ada.clone());
            let (stop, checked) = (Arc::clone(&stop), Arc::clone(&checked));
            task::spawn("load", async move {
                while !stop.load(Ordering::Relaxed) {
                    assert!(lets_in(&shop, &ada).await, "the old key verifies on");
                    checked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let enough = async |more: usize| {
        let until = checked.load(Ordering::Relaxed) + more;
        while checked.load(Ordering::Relaxed) < until {
            tokio::task::yield_now().await;
        }
    };
    enough(20).await;
    one.identity.rotate(Haste::Ahead).await.unwrap();
    enough(20).await;
    let keys = one.identity.rotate(Haste::Now).await.unwrap();
    assert_eq!(
        states(&keys),
        [("EdDSA", "signing"), ("EdDSA", "verify-only")]
    );
    // Signed with the new key by one, and the other one has not reread the store.
    let newer = one.login("ada").await;
    assert!(
        lets_in(&other, &newer).await,
        "it asks for the key it does not know"
    );
    enough(20).await;
    stop.store(true, Ordering::Relaxed);
    for task in load {
        task.await.unwrap();
    }
    println!(
        "{} verifications, none refused",
        checked.load(Ordering::Relaxed)
    );
}

#[tokio::test]
async fn another_algorithm_is_published_first_and_tokens_of_the_former_keys_live_on() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Rs256] {
        let changed = shop.with_keys(shop.sealing(), algorithm).await.unwrap();
        let keys = changed.identity.list().await.unwrap();
        let name = algorithm.name();
        assert!(states(&keys).contains(&(name, "published")), "{keys:?}");
        assert!(states(&keys).contains(&("EdDSA", "signing")), "not yet");
        assert!(lets_in(&changed, &ada).await);
    }
    // In haste, so that this test need not wait for twenty minutes.
    let changed = shop.with_keys(shop.sealing(), SigningAlgorithm::Es256);
    let changed = changed.await.unwrap();
    changed.identity.rotate(Haste::Now).await.unwrap();
    let newer = changed.login("ada").await;
    assert!(lets_in(&changed, &newer).await && lets_in(&changed, &ada).await);
    assert!(
        lets_in(&shop, &newer).await,
        "a replica with the old setting"
    );
    let signing = changed.identity.tokens().ring();
    let signing = signing.signing().unwrap().algorithm();
    assert_eq!(signing, SigningAlgorithm::Es256);
}

#[tokio::test]
async fn the_key_encryption_key_is_changed_in_steps_none_of_which_stops_a_replica() {
    let kek = |text: &SecretString| KeyEncryptionKey::from_text(text).unwrap();
    let (old, new) = (
        KeyEncryptionKey::generate_text(),
        KeyEncryptionKey::generate_text(),
    );
    let algorithm = SigningAlgorithm::default();
    let shop = Shop::open().await;
    // The store's first key is another one: it is the oldest of three.
    let first = shop.sealing();
    let started =
        async |sealing: KeyEncryptionKey| shop.with_keys(Arc::new(sealing), algorithm).await;
    let refused = started(kek(&new)).await.err().unwrap();
    assert!(matches!(refused, StartError::Sealed(_)), "{refused}");
    let listed = shop.identity.list().await.unwrap();
    assert_eq!(listed[0].sealed_by, first.id().to_string());

    // Under `old`, opened by whoever knows both.
    let both = Shop::start_sealed(&old).await;
    let ada = both.register("ada").await;
    let swapped = both
        .with_keys(Arc::new(kek(&new).also_opening(kek(&old))), algorithm)
        .await
        .unwrap();
    assert_eq!(swapped.identity.reseal().await.unwrap(), 1);
    assert_eq!(
        swapped.identity.reseal().await.unwrap(),
        0,
        "once is enough"
    );
    let alone = both
        .with_keys(Arc::new(kek(&new)), algorithm)
        .await
        .unwrap();
    let listed = alone.identity.list().await.unwrap();
    assert_eq!(listed[0].sealed_by, kek(&new).id().to_string());
    assert!(lets_in(&alone, &ada).await);
    assert!(
        both.with_keys(Arc::new(kek(&old)), algorithm)
            .await
            .is_err()
    );
}
