//! A vault in memory does what every vault does, and what only a paused clock can show.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use stanchion_eventsourcing::{
    KEY_AGE_MAX, MemoryLog, MemorySnapshots, MemoryVault, Metadata, Personal, Vault,
};
use stanchion_testing::conformance::personal::{self, CustomerCommand, House, NAME, SUBJECT};

fn house() -> House {
    let vault = Arc::new(MemoryVault::default());
    let (shredding, elsewhere) = (Arc::clone(&vault), Arc::clone(&vault));
    House {
        log: Arc::new(MemoryLog::new()),
        snapshots: Arc::new(MemorySnapshots::default()),
        vault,
        shred: Box::new(move |subject| {
            shredding.shred(subject);
            Box::pin(std::future::ready(()))
        }),
        elsewhere: Box::new(move || Arc::clone(&elsewhere) as Arc<dyn Vault>),
    }
}

#[tokio::test]
async fn the_vault_in_memory_conforms() {
    personal::run(async || house()).await;
}

#[tokio::test(start_paused = true)]
async fn a_state_with_open_values_is_not_remembered_for_long() {
    let house = house();
    let customers = house.customers();
    let (register, metadata) = (CustomerCommand::Register(NAME), Metadata::new(None));
    customers.execute("1", &register, &metadata).await.unwrap();
    (house.shred)(SUBJECT).await;
    let shredded = async || {
        let name = customers.load("1").await.unwrap().state.name;
        name.unwrap().is_shredded()
    };
    assert!(!shredded().await);
    tokio::time::advance(KEY_AGE_MAX + Duration::from_secs(1)).await;
    assert!(shredded().await);
}

#[test]
fn a_personal_value_does_not_print_itself() {
    let name = Personal::new("4711", "Ada".to_owned());
    assert_eq!(format!("{name:?}"), "Personal(4711, open)");
}
