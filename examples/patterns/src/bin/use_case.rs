//! Use case with ports and adapters: what the application does, in its own words, whoever provides it.
//!
//! The usual defect: the use case calls a vendor's client, its outage is taken for "no such thing" or
//! for a price of zero, and a half-made order is stored. Here the port tells "not on offer" from
//! "cannot be asked", and nothing is kept before every answer is in.

use std::sync::Arc;

use async_trait::async_trait;

/// In cents: a float cannot hold ten cents.
type Cents = i64;

/// The port: what placing an order needs to know, in this context's words.
#[async_trait]
trait Catalog: Send + Sync {
    /// What one of it costs; `None` when it is not on offer.
    async fn price(&self, sku: &str) -> Result<Option<Cents>, CatalogUnavailable>;
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the catalogue cannot be asked now")]
struct CatalogUnavailable;

#[derive(Debug, PartialEq, thiserror::Error)]
enum PlaceOrderError {
    #[error("{0} is not on offer")]
    UnknownSku(String),
    #[error("the total is too large")]
    TooLarge,
    #[error(transparent)]
    Unavailable(#[from] CatalogUnavailable),
}

/// The use case, with what it was given.
struct PlaceOrder {
    catalog: Arc<dyn Catalog>,
}

/// An adapter: a price list of this process.
struct PriceList(Vec<(&'static str, Cents)>);

/// Another one: a catalogue that is out.
struct Outage;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let prices = PriceList(vec![("mug", 1250), ("lamp", 4999), ("yacht", i64::MAX)]);
    let shop = PlaceOrder {
        catalog: Arc::new(prices),
    };
    let total = shop.total(&[("mug", 2), ("lamp", 1)]).await;
    println!("two mugs and a lamp: {total:?} cents");
    let unknown = shop.total(&[("mug", 1), ("unicorn", 1)]).await;
    println!("a mug and a unicorn: {unknown:?}");
    let large = shop.total(&[("yacht", 2)]).await;
    println!("two yachts: {large:?}");

    let closed = PlaceOrder {
        catalog: Arc::new(Outage),
    };
    let outage = closed.total(&[("mug", 2)]).await;
    println!("while the catalogue is out: {outage:?}");

    assert_eq!(total, Ok(7499));
    assert_eq!(unknown, Err(PlaceOrderError::UnknownSku("unicorn".into())));
    assert_eq!(large, Err(PlaceOrderError::TooLarge));
    assert_eq!(
        outage,
        Err(PlaceOrderError::Unavailable(CatalogUnavailable))
    );
}

impl PlaceOrder {
    async fn total(&self, wishes: &[(&str, i64)]) -> Result<Cents, PlaceOrderError> {
        let mut total: Cents = 0;
        for (sku, quantity) in wishes {
            let price = self.catalog.price(sku).await?;
            let price = price.ok_or_else(|| PlaceOrderError::UnknownSku((*sku).into()))?;
            let line = price.checked_mul(*quantity);
            let sum = line.and_then(|line| total.checked_add(line));
            total = sum.ok_or(PlaceOrderError::TooLarge)?;
        }
        Ok(total)
    }
}

#[async_trait]
impl Catalog for PriceList {
    async fn price(&self, sku: &str) -> Result<Option<Cents>, CatalogUnavailable> {
        let found = self.0.iter().find(|(known, _)| *known == sku);
        Ok(found.map(|(_, price)| *price))
    }
}

#[async_trait]
impl Catalog for Outage {
    async fn price(&self, _sku: &str) -> Result<Option<Cents>, CatalogUnavailable> {
        Err(CatalogUnavailable)
    }
}
