//! What orders need of the outside, in their own words.

use async_trait::async_trait;
use shop_kernel::{Money, Sku};

/// A product with what it costs now.
#[derive(Clone, Debug, PartialEq)]
pub struct Priced {
    /// Which product.
    pub sku: Sku,
    /// What it is called.
    pub name: String,
    /// What one of it costs.
    pub price: Money,
}

/// Prices cannot be had now; trying again later may help.
#[derive(Debug, thiserror::Error)]
#[error("the catalogue is unavailable: {0}")]
pub struct CatalogUnavailable(pub String);

/// Where the prices come from.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// What these products cost, in the order asked for; `None` for one that is not on offer.
    ///
    /// At most 100 SKUs, each once. The caller's deadline bounds the call.
    async fn prices(&self, skus: &[Sku]) -> Result<Vec<Option<Priced>>, CatalogUnavailable>;
}
