//! Personal values are sealed wherever they are written, and shredding a subject ends them.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stanchion_eventsourcing::{
    Aggregate, EventLog, ExecuteError, Filter, KEY_AGE_MAX, MemoryLog, MemorySnapshots,
    MemoryVault, Metadata, NewEvent, Personal, Position, Repository, Snapshot, Snapshots, StreamId,
    Vault,
};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Customer {
    name: Option<Personal<String>>,
    orders: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum CustomerEvent {
    Registered { name: Personal<String> },
    Ordered,
}

enum Command {
    Register {
        id: &'static str,
        name: &'static str,
    },
    Order,
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;

impl Aggregate for Customer {
    const CATEGORY: &'static str = "customer";
    type Command = Command;
    type Event = CustomerEvent;
    type Refusal = Never;

    fn decide(&self, command: &Command) -> Result<Vec<CustomerEvent>, Never> {
        Ok(vec![match command {
            Command::Register { id, name } => CustomerEvent::Registered {
                name: Personal::new(*id, (*name).to_owned()),
            },
            Command::Order => CustomerEvent::Ordered,
        }])
    }

    fn evolve(&mut self, event: &CustomerEvent) {
        match event {
            CustomerEvent::Registered { name } => self.name = Some(name.clone()),
            CustomerEvent::Ordered => self.orders += 1,
        }
    }
}

impl Snapshot for Customer {
    const SCHEMA: i64 = 1;
}

struct House {
    log: Arc<dyn EventLog>,
    vault: Arc<MemoryVault>,
    snapshots: Arc<MemorySnapshots>,
}

impl House {
    fn new() -> Self {
        Self {
            log: Arc::new(MemoryLog::new()),
            vault: Arc::default(),
            snapshots: Arc::default(),
        }
    }

    fn customers(&self) -> Repository<Customer> {
        Repository::new(Arc::clone(&self.log))
            .snapshots(Arc::clone(&self.snapshots) as Arc<dyn Snapshots>, 2)
            .personal(Arc::clone(&self.vault) as Arc<dyn Vault>)
    }

    async fn register(&self, customers: &Repository<Customer>, name: &'static str) {
        let register = Command::Register { id: "4711", name };
        let metadata = Metadata::new(None);
        customers.execute("1", &register, &metadata).await.unwrap();
    }

    async fn stored(&self) -> String {
        let all = self.log.read(Position::START, &Filter::all(), 100).await;
        let all = all.unwrap();
        let events: Vec<_> = all.iter().map(|event| event.data.to_string()).collect();
        let kept = self.snapshots.load(&StreamId::new("customer", "1")).await;
        format!("{events:?} {:?}", kept.unwrap())
    }
}

async fn name(customers: &Repository<Customer>) -> Personal<String> {
    customers.load("1").await.unwrap().state.name.unwrap()
}

#[tokio::test]
async fn a_value_is_stored_sealed_and_loaded_open() {
    let house = House::new();
    let customers = house.customers();
    house.register(&customers, "Ada Lovelace").await;
    let metadata = Metadata::new(None);
    customers
        .execute("1", &Command::Order, &metadata)
        .await
        .unwrap();
    while house
        .snapshots
        .load(&StreamId::new("customer", "1"))
        .await
        .unwrap()
        .is_none()
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let stored = house.stored().await;
    assert!(!stored.contains("Ada"), "{stored}");
    assert!(
        stored.contains("4711") && stored.contains("cipher"),
        "{stored}"
    );
    for reader in [&customers, &house.customers()] {
        assert_eq!(name(reader).await.value().unwrap(), "Ada Lovelace");
    }
}

#[tokio::test]
async fn after_shredding_the_rest_is_still_read_and_the_value_is_gone() {
    let house = House::new();
    let customers = house.customers();
    house.register(&customers, "Ada Lovelace").await;
    customers
        .execute("1", &Command::Order, &Metadata::new(None))
        .await
        .unwrap();
    house.vault.shred("4711");
    let loaded = house.customers().load("1").await.unwrap().state;
    assert_eq!(loaded.orders, 1);
    assert!(loaded.name.unwrap().is_shredded());
    // Said again, it is not written.
    house.register(&house.customers(), "Ada Byron").await;
    assert!(!house.stored().await.contains("Byron"));
    assert!(name(&house.customers()).await.is_shredded());
}

#[tokio::test(start_paused = true)]
async fn a_state_with_open_values_is_not_remembered_for_long() {
    let house = House::new();
    let customers = house.customers();
    house.register(&customers, "Ada Lovelace").await;
    house.vault.shred("4711");
    assert!(!name(&customers).await.is_shredded());
    tokio::time::advance(KEY_AGE_MAX + Duration::from_secs(1)).await;
    assert!(name(&customers).await.is_shredded());
}

#[tokio::test]
async fn without_a_vault_nothing_open_is_written_and_nothing_sealed_is_opened() {
    let house = House::new();
    house.register(&house.customers(), "Ada Lovelace").await;
    let blind = Repository::<Customer>::new(Arc::clone(&house.log));
    assert!(matches!(name(&blind).await, Personal::Sealed { .. }));
    let register = Command::Register {
        id: "4711",
        name: "Ada",
    };
    let refused = blind.execute("2", &register, &Metadata::new(None)).await;
    let Err(ExecuteError::Unavailable(reason)) = refused else {
        panic!("it was written");
    };
    assert!(reason.contains("only written sealed"), "{reason}");
    assert_eq!(house.log.head().await.unwrap(), Position(1));
}

#[tokio::test]
async fn a_projection_opens_what_it_needs() {
    let (house, another_vault) = (House::new(), MemoryVault::default());
    let event = CustomerEvent::Registered {
        name: Personal::new("4711", "Ada".to_owned()),
    };
    assert!(NewEvent::of(&event).is_err());
    let sealed = NewEvent::sealed(&event, &*house.vault).await.unwrap();
    assert!(!sealed.data.to_string().contains("Ada"));
    house.register(&house.customers(), "Ada").await;
    let all = house.log.read(Position::START, &Filter::all(), 1).await;
    let recorded = all.unwrap().remove(0);
    assert_eq!(
        recorded.open::<CustomerEvent>(&*house.vault).await.unwrap(),
        event
    );
    // A vault that lost its rows did not shred anybody.
    let CustomerEvent::Registered { name } = recorded.open(&another_vault).await.unwrap() else {
        panic!("another event");
    };
    assert!(matches!(name, Personal::Sealed { .. }));
}

#[test]
fn a_personal_value_does_not_print_itself() {
    let name = Personal::new("4711", "Ada".to_owned());
    assert_eq!(format!("{name:?}"), "Personal(4711, open)");
}
