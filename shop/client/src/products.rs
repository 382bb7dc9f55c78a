use std::fmt;

use serde::{Deserialize, Serialize};

use crate::api::{asking, data, page, part};
use crate::{Page, ShopClient, ShopError};

/// An amount in minor units, such as cents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// How many.
    pub amount: i64,
    /// Of which currency (ISO 4217).
    pub currency: String,
}

/// A product on offer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Product {
    /// Its stock keeping unit.
    pub sku: String,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub description: String,
    /// What one costs.
    pub price: Money,
    /// How many are free to be ordered.
    pub available: i64,
}

#[derive(Serialize)]
struct Asked<'a> {
    q: Option<&'a str>,
    cursor: Option<&'a str>,
}

impl ShopClient {
    /// Products whose name or SKU has this text in it, all for none; `cursor` goes on from an earlier page.
    ///
    /// # Errors
    /// [`ShopError`]
    pub async fn products(
        &self,
        text: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Page<Product>, ShopError> {
        let path = asking("/products", &Asked { q: text, cursor })?;
        page(&self.get(&path).send().await?)
    }

    /// One product.
    ///
    /// # Errors
    /// `PRODUCT_NOT_FOUND`, and what any call can end with.
    pub async fn product(&self, sku: &str) -> Result<Product, ShopError> {
        let path = format!("/products/{}", part(sku));
        data(&self.get(&path).send().await?)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}
