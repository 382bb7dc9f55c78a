//! Personal data in a log that keeps everything: fields sealed with a key of the person's own.
//!
//! The usual defect: a name in an event is there for ever, in every projection, export and backup, and
//! when its owner wants it gone there is nobody who knows all the places. Here every place holds cipher
//! text; the key is deleted, and the name is gone from all of them at once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stanchion::eventsourcing::{
    Aggregate, EventLog, Filter, Metadata, Personal, Position, Repository, SUBJECT_CATEGORY,
    SealingKey, Vault,
};
use stanchion::sql::{Db, Mode, SqlLog, SqlVault, export, migrate};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum CustomerEvent {
    Registered { name: Personal<String> },
    Ordered { sku: String },
}

#[derive(Clone, Default)]
struct Customer {
    name: Option<Personal<String>>,
    orders: u32,
}

enum CustomerCommand {
    Register { subject: String, name: String },
    Order { sku: String },
}

#[derive(Debug, thiserror::Error)]
#[error("registered already")]
struct RegisteredAlready;

impl Aggregate for Customer {
    const CATEGORY: &'static str = "customer";
    type Command = CustomerCommand;
    type Event = CustomerEvent;
    type Refusal = RegisteredAlready;

    fn decide(&self, command: &CustomerCommand) -> Result<Vec<CustomerEvent>, RegisteredAlready> {
        match command {
            CustomerCommand::Register { .. } if self.name.is_some() => Err(RegisteredAlready),
            CustomerCommand::Register { subject, name } => Ok(vec![CustomerEvent::Registered {
                name: Personal::new(subject, name.clone()),
            }]),
            CustomerCommand::Order { sku } => Ok(vec![CustomerEvent::Ordered { sku: sku.clone() }]),
        }
    }

    fn evolve(&mut self, event: &CustomerEvent) {
        match event {
            CustomerEvent::Registered { name } => self.name = Some(name.clone()),
            CustomerEvent::Ordered { .. } => self.orders += 1,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let db = Db::memory("customers")?;
    migrate(&db, &[], Mode::Auto).await?;
    let log: Arc<dyn EventLog> = Arc::new(SqlLog::open(db.clone()).await?);
    // In a service: SealingKey::from_text, from a secret that is kept apart from the database and its backups.
    let master = SealingKey::generate();
    let vault = SqlVault::new(db.clone(), master);
    vault.check().await?;
    let customers = Repository::<Customer>::new(Arc::clone(&log))
        .personal(Arc::clone(&vault) as Arc<dyn Vault>);

    let who = Metadata::new(Some("user-17".into()));
    let register = CustomerCommand::Register {
        subject: "subject-4711".into(),
        name: "Ada Lovelace".into(),
    };
    customers.execute("1", &register, &who).await?;
    let order = CustomerCommand::Order { sku: "mug".into() };
    customers.execute("1", &order, &who).await?;
    let name = customers.load("1").await?.state.name;
    let name = name.as_ref().and_then(Personal::value);
    println!("the repository reads: {name:?}");
    assert_eq!(name.map(String::as_str), Some("Ada Lovelace"));

    readers_without_the_vault(&db, &*log).await?;
    reader_with_the_vault(&*log, &*vault).await?;

    let proof = vault.shred("subject-4711", &who).await?;
    println!("shredded: {}", proof.at.as_second() > 0);
    // This process has remembered the opened state for at most KEY_AGE_MAX; another one starts without.
    let customers = Repository::<Customer>::new(Arc::clone(&log)).personal(vault as Arc<dyn Vault>);
    let customer = customers.load("1").await?.state;
    let shredded = customer.name.is_some_and(|name| name.is_shredded());
    println!("the name is gone: {shredded}, orders: {}", customer.orders);
    assert!(shredded && customer.orders == 1);

    let told = log
        .read(Position::START, &Filter::category(SUBJECT_CATEGORY), 10)
        .await?;
    println!("recorded: {}", told[0].kind);
    Ok(())
}

/// A projection, a relay, an export: all of them see what is stored.
async fn readers_without_the_vault(db: &Db, log: &dyn EventLog) -> anyhow::Result<()> {
    let entries = log.read(Position::START, &Filter::all(), 10).await?;
    let CustomerEvent::Registered { name } = entries[0].decode()? else {
        anyhow::bail!("{}", entries[0].kind);
    };
    println!("others read: {name:?}");
    assert_eq!(name.value(), None);
    let mut file = Vec::new();
    export(db, &mut file).await?;
    assert!(!String::from_utf8(file)?.contains("Ada"));
    Ok(())
}

/// Whoever is given the vault can open what it reads.
async fn reader_with_the_vault(log: &dyn EventLog, vault: &dyn Vault) -> anyhow::Result<()> {
    let entries = log.read(Position::START, &Filter::all(), 10).await?;
    let event: CustomerEvent = entries[0].open(vault).await?;
    let CustomerEvent::Registered { name } = event else {
        anyhow::bail!("{}", entries[0].kind);
    };
    assert_eq!(name.value().map(String::as_str), Some("Ada Lovelace"));
    Ok(())
}
