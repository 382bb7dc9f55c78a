//! Use case with ports and adapters: what the application does, in its own words, whoever provides it.
//!
//! The usual defect: the use case calls a vendor's client, its outage is taken for "no such thing" or
//! for a price of zero, and a half-made order is stored. Here the port tells "not on offer" from
//! "cannot be asked", and nothing is kept before every answer is in.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use stanchion::eventsourcing::{EventLog, Expected, Metadata, NewEvent, StreamId};
use stanchion::runtime::id;
use stanchion::sql::{Db, Mode, SqlLog, UnitOfWork, migrate};

/// In cents; a float cannot hold ten of them.
type Cents = i64;

/// The port: what placing an order needs of the outside.
#[async_trait]
trait Catalog: Send + Sync {
    /// What one of it costs; `None` when it is not on offer, `Err` when that cannot be told.
    async fn price(&self, sku: &str) -> Result<Option<Cents>, String>;
}

/// An adapter: a price list of this process.
struct PriceList;

/// Another one: a catalogue that does not answer.
struct Outage;

/// The use case, with what it was given.
struct PlaceOrder {
    catalog: Arc<dyn Catalog>,
    db: Db,
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum PlaceOrderError {
    #[error("{0} is not on offer")]
    UnknownSku(String),
    #[error("the total is too large")]
    TooLarge,
    #[error("try again later: {0}")]
    Unavailable(String),
}

#[derive(Serialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum OrderEvent {
    Placed { total: Cents },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let db = Db::memory("orders")?;
    migrate(&db, &[], Mode::Auto).await?;
    let open = PlaceOrder {
        catalog: Arc::new(PriceList),
        db: db.clone(),
    };
    let closed = PlaceOrder {
        catalog: Arc::new(Outage),
        db: db.clone(),
    };

    let placed = open.execute("mug", 2).await;
    println!("two mugs: {placed:?}");
    let unknown = open.execute("unicorn", 1).await;
    println!("a unicorn: {unknown:?}");
    let outage = closed.execute("mug", 2).await;
    println!("while the catalogue is out: {outage:?}");
    let kept = SqlLog::open(db).await?.head().await?;
    println!("orders kept: {kept}");

    assert_eq!(placed, Ok(2500));
    let no_unicorn = PlaceOrderError::UnknownSku("unicorn".into());
    assert_eq!(unknown, Err(no_unicorn));
    assert!(matches!(outage, Err(PlaceOrderError::Unavailable(_))));
    assert_eq!(kept.0, 1);
    Ok(())
}

impl PlaceOrder {
    /// Places an order of one product; its total.
    async fn execute(&self, sku: &str, quantity: i64) -> Result<Cents, PlaceOrderError> {
        let price = self.catalog.price(sku).await;
        let price = price.map_err(PlaceOrderError::Unavailable)?;
        let price = price.ok_or_else(|| PlaceOrderError::UnknownSku(sku.into()))?;
        let total = price.checked_mul(quantity);
        let total = total.ok_or(PlaceOrderError::TooLarge)?;
        let kept = self.keep(total).await;
        kept.map_err(|error| PlaceOrderError::Unavailable(error.to_string()))?;
        Ok(total)
    }

    async fn keep(&self, total: Cents) -> anyhow::Result<()> {
        let stream = StreamId::new("order", id::new_v7().to_string());
        let placed = NewEvent::of(&OrderEvent::Placed { total })?;
        let mut work = UnitOfWork::begin(&self.db);
        work.record(
            stream,
            Expected::NoStream,
            vec![placed],
            &Metadata::new(None),
        );
        work.commit().await?;
        Ok(())
    }
}

#[async_trait]
impl Catalog for PriceList {
    async fn price(&self, sku: &str) -> Result<Option<Cents>, String> {
        Ok((sku == "mug").then_some(1250))
    }
}

#[async_trait]
impl Catalog for Outage {
    async fn price(&self, _sku: &str) -> Result<Option<Cents>, String> {
        Err("timed out".into())
    }
}
