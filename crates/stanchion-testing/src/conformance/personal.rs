//! What every vault must do, together with the log and the snapshots that hold what it seals.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stanchion_eventsourcing::{
    Aggregate, EventLog, ExecuteError, Filter, LogError, MemoryVault, Metadata, NewEvent, Personal,
    Position, Repository, Snapshot, Snapshots, StreamId, SubjectKey, Vault,
};

use super::{Case, cases, run_all};

/// Whose name it is in these cases.
pub const SUBJECT: &str = "subject-4711";

/// The name; it stands nowhere but in what is searched for.
pub const NAME: &str = "Ada-Lovelace-of-Ockham-Park";

/// The events after which a customer's state is kept.
const KEPT_EVERY: u32 = 2;

/// Orders after which a state must have been kept.
const ORDERS_MAX: usize = 400;

type Done = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A vault, and what holds what it seals.
pub struct House {
    /// Where events are.
    pub log: Arc<dyn EventLog>,
    /// Where states are kept.
    pub snapshots: Arc<dyn Snapshots>,
    /// The subject of the suite.
    pub vault: Arc<dyn Vault>,
    /// Shreds a subject, in the vault's own way.
    pub shred: Box<dyn Fn(&'static str) -> Done + Send + Sync>,
    /// The same keys as another process has them: it remembers nothing.
    pub elsewhere: Box<dyn Fn() -> Arc<dyn Vault> + Send + Sync>,
}

/// A customer with a name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Customer {
    /// What they are called.
    pub name: Option<Personal<String>>,
    /// What their name begins with: in the clear, as whatever a state derives from an opened value.
    pub initials: String,
    /// How often they ordered.
    pub orders: u32,
}

/// What happens to a customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum CustomerEvent {
    /// They told their name.
    Registered {
        /// What they are called.
        name: Personal<String>,
    },
    /// They ordered something.
    Ordered,
}

/// What a customer is told.
#[derive(Clone, Copy, Debug)]
pub enum CustomerCommand {
    /// To be called so, under the key of [`SUBJECT`].
    Register(&'static str),
    /// To order something.
    Order,
}

/// There is none.
#[derive(Debug, thiserror::Error)]
#[error("never")]
pub struct Never;

impl Aggregate for Customer {
    const CATEGORY: &'static str = "customer";
    type Command = CustomerCommand;
    type Event = CustomerEvent;
    type Refusal = Never;

    fn decide(&self, command: &CustomerCommand) -> Result<Vec<CustomerEvent>, Never> {
        Ok(vec![match command {
            CustomerCommand::Register(name) => CustomerEvent::Registered {
                name: Personal::new(SUBJECT, (*name).to_owned()),
            },
            CustomerCommand::Order => CustomerEvent::Ordered,
        }])
    }

    fn evolve(&mut self, event: &CustomerEvent) {
        match event {
            CustomerEvent::Registered { name } => {
                self.initials = name.value().map(|name| initials(name)).unwrap_or_default();
                self.name = Some(name.clone());
            }
            CustomerEvent::Ordered => self.orders += 1,
        }
    }
}

impl Snapshot for Customer {
    const SCHEMA: i64 = 1;
}

impl House {
    /// A repository that seals and opens with the vault, and keeps states.
    #[must_use]
    pub fn customers(&self) -> Repository<Customer> {
        self.customers_of(&self.vault)
    }

    /// The same with another vault: one of another process.
    #[must_use]
    pub fn customers_of(&self, vault: &Arc<dyn Vault>) -> Repository<Customer> {
        Repository::new(Arc::clone(&self.log))
            .snapshots(Arc::clone(&self.snapshots), KEPT_EVERY)
            .personal(Arc::clone(vault))
    }

    /// A customer with a name and two orders, and a snapshot of that.
    pub async fn some_customer(&self) {
        use CustomerCommand::{Order, Register};
        let customers = self.customers();
        for command in [Register(NAME), Order, Order] {
            tell(&customers, command).await;
        }
        while self.kept().await.is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Orders, until a state was kept that had to be made anew.
    async fn orders_until_kept(&self, customers: &Repository<Customer>) {
        for _ in 0..ORDERS_MAX {
            tell(customers, CustomerCommand::Order).await;
            // A state is kept beside the request.
            tokio::time::sleep(Duration::from_millis(5)).await;
            if self.kept().await.is_some() {
                return;
            }
        }
        panic!("no state was kept in {ORDERS_MAX} orders");
    }

    /// The customer's state as it is kept, as text.
    async fn kept(&self) -> Option<String> {
        let kept = self.snapshots.load(&StreamId::new("customer", "1")).await;
        kept.unwrap().map(|kept| kept.state.to_string())
    }

    /// All that is stored, as text.
    async fn stored(&self) -> String {
        let all = self.log.read(Position::START, &Filter::all(), 100).await;
        let all = all.unwrap();
        let events: Vec<_> = all.iter().map(|event| event.data.to_string()).collect();
        format!("{events:?} {:?}", self.kept().await)
    }
}

const CASES: &[Case<House>] = cases![
    a_value_is_stored_sealed_and_loaded_open,
    after_shredding_the_rest_is_still_read_and_the_value_is_gone,
    what_is_said_of_a_shredded_subject_is_not_written,
    a_remembered_state_leaves_nothing_of_a_shredded_subject_in_a_snapshot,
    without_a_vault_nothing_open_is_written_and_nothing_sealed_is_opened,
    a_reader_with_the_vault_opens_what_it_needs,
    a_value_is_sealed_where_it_enters_and_opened_where_it_leaves,
    a_shredded_subject_gets_no_key_again,
];

/// Runs every case, each in a fresh house.
///
/// # Panics
/// At the first case that fails.
pub async fn run(fresh: impl AsyncFn() -> House) {
    run_all("personal data", CASES, fresh).await;
}

fn initials(name: &str) -> String {
    let capitals = name.chars().filter(char::is_ascii_uppercase);
    format!("initials-{}", capitals.collect::<String>())
}

async fn tell(customers: &Repository<Customer>, command: CustomerCommand) {
    let metadata = Metadata::new(None);
    customers.execute("1", &command, &metadata).await.unwrap();
}

async fn name(customers: &Repository<Customer>) -> Personal<String> {
    customers.load("1").await.unwrap().state.name.unwrap()
}

async fn a_value_is_stored_sealed_and_loaded_open(house: House) {
    house.some_customer().await;
    let stored = house.stored().await;
    assert!(!stored.contains(NAME), "{stored}");
    assert!(stored.contains(SUBJECT) && stored.contains("cipher"));
    let elsewhere = (house.elsewhere)();
    for reader in [house.customers(), house.customers_of(&elsewhere)] {
        assert_eq!(name(&reader).await.value().unwrap(), NAME);
    }
}

async fn after_shredding_the_rest_is_still_read_and_the_value_is_gone(house: House) {
    house.some_customer().await;
    (house.shred)(SUBJECT).await;
    for vault in [Arc::clone(&house.vault), (house.elsewhere)()] {
        let loaded = house.customers_of(&vault).load("1").await.unwrap().state;
        assert_eq!(loaded.orders, 2);
        assert!(loaded.name.unwrap().is_shredded());
    }
}

async fn what_is_said_of_a_shredded_subject_is_not_written(house: House) {
    (house.shred)(SUBJECT).await;
    let customers = house.customers();
    tell(&customers, CustomerCommand::Register(NAME)).await;
    house.orders_until_kept(&customers).await;
    let stored = house.stored().await;
    assert!(
        !stored.contains(NAME) && stored.contains(SUBJECT),
        "{stored}"
    );
    assert!(name(&house.customers()).await.is_shredded());
}

async fn a_remembered_state_leaves_nothing_of_a_shredded_subject_in_a_snapshot(house: House) {
    let customers = house.customers();
    tell(&customers, CustomerCommand::Register(NAME)).await;
    let remembered = customers.load("1").await.unwrap().state;
    assert_eq!(remembered.initials, initials(NAME));
    (house.shred)(SUBJECT).await;
    house.orders_until_kept(&customers).await;
    let stored = house.stored().await;
    assert!(
        !stored.contains(&initials(NAME)) && stored.contains(SUBJECT),
        "{stored}"
    );
}

async fn without_a_vault_nothing_open_is_written_and_nothing_sealed_is_opened(house: House) {
    house.some_customer().await;
    let head = house.log.head().await.unwrap();
    let blind = Repository::<Customer>::new(Arc::clone(&house.log));
    assert!(matches!(name(&blind).await, Personal::Sealed { .. }));
    let register = CustomerCommand::Register(NAME);
    let refused = blind.execute("2", &register, &Metadata::new(None)).await;
    let Err(ExecuteError::Unavailable(reason)) = refused else {
        panic!("it was written");
    };
    assert!(reason.contains("only written sealed"), "{reason}");
    let now: Result<Position, LogError> = house.log.head().await;
    assert_eq!(now.unwrap(), head);
}

async fn a_reader_with_the_vault_opens_what_it_needs(house: House) {
    let event = CustomerEvent::Registered {
        name: Personal::new(SUBJECT, NAME.to_owned()),
    };
    assert!(NewEvent::of(&event).is_err());
    let sealed = NewEvent::sealed(&event, &*house.vault).await.unwrap();
    assert!(!sealed.data.to_string().contains(NAME));
    house.some_customer().await;
    let all = house.log.read(Position::START, &Filter::all(), 1).await;
    let recorded = all.unwrap().remove(0);
    let opened = recorded.open::<CustomerEvent>(&*house.vault).await;
    assert_eq!(opened.unwrap(), event);
    // A vault that lost its rows did not shred anybody.
    let another = MemoryVault::default();
    let CustomerEvent::Registered { name } = recorded.open(&another).await.unwrap() else {
        panic!("another event");
    };
    assert!(matches!(name, Personal::Sealed { .. }));
}

async fn a_value_is_sealed_where_it_enters_and_opened_where_it_leaves(house: House) {
    let open = Personal::new(SUBJECT, NAME.to_owned());
    let sealed = open.clone().sealed(&*house.vault).await.unwrap();
    // Whoever passes it on needs no vault.
    let passed = serde_json::to_string(&sealed).unwrap();
    assert!(
        !passed.contains(NAME) && passed.contains("cipher"),
        "{passed}"
    );
    let passed: Personal<String> = serde_json::from_str(&passed).unwrap();
    assert_eq!(passed, sealed);
    let elsewhere = (house.elsewhere)();
    assert_eq!(passed.clone().opened(&*elsewhere).await.unwrap(), open);
    let unknown = MemoryVault::default();
    assert_eq!(passed.clone().opened(&unknown).await.unwrap(), sealed);
    (house.shred)(SUBJECT).await;
    let vaults = [Arc::clone(&house.vault), (house.elsewhere)()];
    for vault in vaults {
        assert!(passed.clone().opened(&*vault).await.unwrap().is_shredded());
        let again = open.clone().sealed(&*vault).await.unwrap();
        assert!(again.is_shredded());
    }
}

async fn a_shredded_subject_gets_no_key_again(house: House) {
    (house.shred)(SUBJECT).await;
    (house.shred)(SUBJECT).await;
    let asked = [SUBJECT.to_owned()];
    for vault in [Arc::clone(&house.vault), (house.elsewhere)()] {
        let keys = vault.keys_to_seal(&asked).await.unwrap();
        assert!(matches!(keys[SUBJECT], SubjectKey::Shredded));
    }
}
