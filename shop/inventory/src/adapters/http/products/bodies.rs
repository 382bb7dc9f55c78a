//! What products, and their stock, are told to become.

use serde::{Deserialize, Serialize};
use shop_kernel::{Currency, Money, Sku};
use stanchion::server::{Validate, Violations};
use utoipa::ToSchema;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, Type};

use crate::domain::product::{AVAILABLE_MAX, Description};

/// Far above any price, and low enough that a price times a quantity has an amount.
const PRICE_MAX: i64 = 1_000_000_000_000;

/// A product to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProduct {
    sku: Sku,
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[serde(default)]
    #[schema(max_length = 2000)]
    description: String,
    price: Price,
    /// How many are in stock from the start.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    available: i64,
}

/// How a product is described.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProductBody {
    #[schema(min_length = 1, max_length = 200)]
    pub(super) name: String,
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub(super) description: String,
    pub(super) price: Price,
}

/// What a product costs: money, and never less than none.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Price {
    /// In minor units: 1250 is twelve euros fifty.
    #[schema(minimum = 0, maximum = 1_000_000_000_000_i64, example = 1250)]
    amount: i64,
    currency: Currency,
}

/// Stock that comes or goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StockChange {
    /// How many; below zero takes away.
    #[schema(schema_with = some_stock)]
    pub(super) delta: i64,
    #[schema(min_length = 1, max_length = 200, example = "delivery")]
    pub(super) reason: String,
}

impl Validate for NewProduct {
    fn validate(&self, violations: &mut Violations) {
        described(&self.name, &self.description, self.price, violations);
        violations.range("available", self.available, 0, AVAILABLE_MAX);
    }
}

impl Validate for ProductBody {
    fn validate(&self, violations: &mut Violations) {
        described(&self.name, &self.description, self.price, violations);
    }
}

impl Validate for StockChange {
    fn validate(&self, violations: &mut Violations) {
        violations.range("delta", self.delta, -AVAILABLE_MAX, AVAILABLE_MAX);
        violations.require(self.delta != 0, "delta", "must not be zero");
        violations.length("reason", &self.reason, 1, 200);
    }
}

fn described(name: &str, description: &str, price: Price, violations: &mut Violations) {
    violations.length("name", name, 1, 200);
    violations.length("description", description, 0, 2000);
    violations.range("price.amount", price.amount, 0, PRICE_MAX);
}

impl NewProduct {
    /// Its SKU, its description and how many of it are in stock.
    pub(crate) fn into_parts(self) -> (Sku, Description, i64) {
        let about = Description {
            name: self.name,
            description: self.description,
            price: self.price.into(),
        };
        (self.sku, about, self.available)
    }
}

impl ProductBody {
    pub(super) fn about(&self) -> Description {
        Description {
            name: self.name.clone(),
            description: self.description.clone(),
            price: self.price.into(),
        }
    }
}

impl From<Description> for ProductBody {
    fn from(about: Description) -> Self {
        Self {
            name: about.name,
            description: about.description,
            price: about.price.into(),
        }
    }
}

impl From<Price> for Money {
    fn from(price: Price) -> Self {
        Self::new(price.amount, price.currency)
    }
}

impl From<Money> for Price {
    fn from(Money { amount, currency }: Money) -> Self {
        Self { amount, currency }
    }
}

/// Stock that does come or go: none of it is no change.
fn some_stock() -> OneOfBuilder {
    let range = |least: i64, most: i64| {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(least))
            .maximum(Some(most))
    };
    OneOfBuilder::new()
        .item(range(1, AVAILABLE_MAX))
        .item(range(-AVAILABLE_MAX, -1))
        .description(Some("How many; below zero takes away."))
        .examples([5])
}
