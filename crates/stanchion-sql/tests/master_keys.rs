//! The master key that seals subjects' keys: a wrong one is told, another one takes its place step by step.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use stanchion_eventsourcing::{MasterKeys, Metadata, SealingKey, Vault};
use stanchion_sql::{Db, MasterKeyError, SqlVault};
use support::migrated;

/// A vault of a process of its own with these keys.
fn process(db: &Db, keys: impl Into<MasterKeys>) -> Arc<SqlVault> {
    SqlVault::new(db.clone(), keys)
}

async fn keys_of(vault: &SqlVault, subjects: &[String]) -> Vec<String> {
    let keys = vault.keys_to_seal(subjects).await.unwrap();
    subjects
        .iter()
        .map(|subject| format!("{:?}", keys[subject]))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_master_key_is_told_before_anybody_is_known() {
    for db in migrated().await {
        let [right, wrong] = [(); 2].map(|()| SealingKey::generate());
        process(&db, right.clone()).check().await.unwrap();
        process(&db, right.clone()).check().await.unwrap();
        let refused = process(&db, wrong.clone()).check().await.unwrap_err();
        let MasterKeyError::Wrong { sealed_by, have } = &refused else {
            panic!("{refused}");
        };
        assert_eq!(sealed_by[..], [right.fingerprint()]);
        assert_eq!(have[..], [wrong.fingerprint()]);
        let said = refused.to_string();
        assert!(said.contains(&right.fingerprint()), "{said}");
        // The vault's own key is nobody's to shred.
        let vault = process(&db, right);
        let own = vault.shred("stanchion.vault", &Metadata::new(None)).await;
        assert!(own.is_err());
        vault.check().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_master_key_leaves_nothing_behind() {
    for db in migrated().await {
        let [right, wrong] = [(); 2].map(|()| SealingKey::generate());
        // Known before anybody checked: a store from before there were checks.
        let vault = process(&db, right.clone());
        keys_of(&vault, &["subject 1".to_owned()]).await;
        assert!(process(&db, wrong).check().await.is_err());
        vault.check().await.unwrap();
        let long = "x".repeat(256);
        assert!(vault.keys_to_seal(&[long]).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_sealed_anew_in_steps_while_processes_with_both_keys_go_on() {
    for db in migrated().await {
        let [old, new] = [(); 2].map(|()| SealingKey::generate());
        let subjects: Vec<String> = (0..20).map(|n| format!("subject {n}")).collect();
        let before = process(&db, old.clone());
        before.check().await.unwrap();
        let keys = keys_of(&before, &subjects).await;
        before
            .shred(&subjects[19], &Metadata::new(None))
            .await
            .unwrap();
        let living = &subjects[..19];

        // Whoever has the new key alone may neither start nor change anything.
        let early = process(&db, new.clone());
        assert!(early.check().await.is_err());
        let refused = early.reseal(100).await.unwrap_err();
        assert!(matches!(refused, MasterKeyError::Wrong { .. }), "{refused}");

        let first = MasterKeys::from(old.clone()).and_opening(new.clone());
        let second = MasterKeys::from(new.clone()).and_opening(old.clone());
        // Cut off after some; the next process finds the rest.
        let begun = process(&db, second.clone()).reseal(7).await.unwrap();
        assert_eq!(
            (begun.resealed, &begun.left[..]),
            (7, &[old.fingerprint()][..])
        );
        for vault in [process(&db, first.clone()), process(&db, second.clone())] {
            vault.check().await.unwrap();
            assert_eq!(keys_of(&vault, living).await, keys[..19]);
        }
        // One that still seals with the old key meets somebody new meanwhile.
        let late = ["late".to_owned()];
        let late_key = keys_of(&process(&db, first.clone()), &late).await;
        let rest = process(&db, second.clone()).reseal(1_000).await.unwrap();
        // 19 and the vault's own, without the 7, and the late one.
        assert_eq!((rest.resealed, rest.left.len()), (14, 0));
        let nothing = process(&db, second).reseal(1_000).await.unwrap();
        assert_eq!((nothing.resealed, nothing.left.len()), (0, 0));

        let after = process(&db, new);
        after.check().await.unwrap();
        assert_eq!(keys_of(&after, living).await, keys[..19]);
        assert_eq!(keys_of(&after, &late).await, late_key);
        let shredded = keys_of(&after, &subjects[19..]).await;
        assert_eq!(shredded, ["Shredded"]);
        assert!(process(&db, old.clone()).check().await.is_err());

        // And back again: whichever of the two comes first by its name.
        let back = process(&db, first).reseal(1_000).await.unwrap();
        assert_eq!((back.resealed, back.left.len()), (21, 0));
        process(&db, old).check().await.unwrap();
    }
}
