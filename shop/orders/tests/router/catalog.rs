//! Prices by script.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use shop_kernel::{Currency, Money, Sku};
use shop_orders::{Catalog, CatalogUnavailable, Priced};

/// Knows a handful of products and can be out.
#[derive(Default)]
pub(crate) struct PriceList {
    pub(crate) out: AtomicBool,
}

#[async_trait]
impl Catalog for PriceList {
    async fn prices(&self, skus: &[Sku]) -> Result<Vec<Option<Priced>>, CatalogUnavailable> {
        if self.out.load(Ordering::Relaxed) {
            return Err(CatalogUnavailable("the shelf is dark".into()));
        }
        Ok(skus.iter().map(priced).collect())
    }
}

fn priced(sku: &Sku) -> Option<Priced> {
    let (name, amount, currency) = match sku.as_str() {
        "BEANS" => ("Coffee beans", 1250, Currency::EUR),
        "CUP" => ("Cup", 900, Currency::EUR),
        "GOLD" => ("Gold", i64::MAX / 1_000, Currency::EUR),
        "DOLLAR-MUG" => ("Mug", 700, "USD".parse().unwrap()),
        "SCARCE" | "GONE" | "SLOW" => ("Something", 100, Currency::EUR),
        _ => return None,
    };
    Some(Priced {
        sku: sku.clone(),
        name: name.into(),
        price: Money::new(amount, currency),
    })
}
