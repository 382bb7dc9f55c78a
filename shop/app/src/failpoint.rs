//! Where a test has the shop panic in the middle of a request: when the price of a product is asked for. In debug builds only.

use std::sync::Arc;

use async_trait::async_trait;
use shop_kernel::Sku;
use shop_orders::{Catalog, CatalogUnavailable, Priced};

/// The SKU of that product.
const PANIC: &str = "SHOP_PANIC_AT_PRICE_OF";

/// The catalogue as it is, or one that panics where the environment says so.
pub(crate) fn in_catalog(catalog: Arc<dyn Catalog>) -> Arc<dyn Catalog> {
    if !cfg!(debug_assertions) {
        return catalog;
    }
    let wish = std::env::var(PANIC).ok().and_then(|sku| sku.parse().ok());
    match wish {
        Some(sku) => Arc::new(Panicking { catalog, sku }),
        None => catalog,
    }
}

struct Panicking {
    catalog: Arc<dyn Catalog>,
    sku: Sku,
}

#[async_trait]
impl Catalog for Panicking {
    async fn prices(&self, skus: &[Sku]) -> Result<Vec<Option<Priced>>, CatalogUnavailable> {
        assert!(!skus.contains(&self.sku), "a test wants a panic here");
        self.catalog.prices(skus).await
    }
}
