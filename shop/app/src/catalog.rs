//! Orders ask for prices in their own words; inventory answers. The contexts do not know each other.

use async_trait::async_trait;
use shop_inventory::Products;
use shop_kernel::Sku;
use shop_orders::{Catalog, CatalogUnavailable, Priced};

pub(crate) struct InventoryCatalog(pub(crate) Products);

#[async_trait]
impl Catalog for InventoryCatalog {
    async fn prices(&self, skus: &[Sku]) -> Result<Vec<Option<Priced>>, CatalogUnavailable> {
        let priced = self.0.priced(skus).await;
        let priced = priced.map_err(|error| CatalogUnavailable(error.to_string()))?;
        let to_orders = |each: shop_inventory::Priced| Priced {
            sku: each.sku,
            name: each.name,
            price: each.price,
        };
        Ok(priced.into_iter().map(|each| each.map(to_orders)).collect())
    }
}
