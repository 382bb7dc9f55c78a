//! What stands in an order, and what it costs.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use shop_kernel::{Money, MoneyError, Sku};

use super::OrderRefusal;

/// The most items of an order.
pub(crate) const ITEMS_MAX: usize = 100;

/// The most of one product in an order.
pub(crate) const QUANTITY_MAX: i64 = 1_000_000;

/// So many of a product at its price, before the order is placed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) sku: Sku,
    pub(crate) name: String,
    pub(crate) quantity: i64,
    pub(crate) unit_price: Money,
}

/// An item of a placed order: name and price as they were then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) sku: Sku,
    pub(crate) name: String,
    pub(crate) quantity: i64,
    pub(crate) unit_price: Money,
    pub(crate) total: Money,
}

/// What is wrong with one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ItemFault {
    #[error("the quantity must be 1 to {QUANTITY_MAX}")]
    Quantity,
    #[error("the product stands in the order already")]
    Duplicate,
    #[error("its currency is not that of the first item")]
    Currency,
    #[error("the order becomes too expensive")]
    TooExpensive,
}

/// Multiplies and adds, checked at every step.
pub(super) fn price(lines: &[Line]) -> Result<(Vec<Item>, Money), OrderRefusal> {
    let first = lines.first().ok_or(OrderRefusal::ItemCount)?;
    if lines.len() > ITEMS_MAX {
        return Err(OrderRefusal::ItemCount);
    }
    let mut total = Money::zero(first.unit_price.currency);
    let mut seen = HashSet::new();
    let mut items = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let item = line.priced(&mut seen, &mut total);
        items.push(item.map_err(|fault| OrderRefusal::Item { index, fault })?);
    }
    Ok((items, total))
}

impl Line {
    fn priced<'a>(
        &'a self,
        seen: &mut HashSet<&'a Sku>,
        order_total: &mut Money,
    ) -> Result<Item, ItemFault> {
        if !(1..=QUANTITY_MAX).contains(&self.quantity) {
            return Err(ItemFault::Quantity);
        }
        if !seen.insert(&self.sku) {
            return Err(ItemFault::Duplicate);
        }
        let total = self.unit_price.times(self.quantity)?;
        *order_total = order_total.plus(total)?;
        Ok(Item {
            sku: self.sku.clone(),
            name: self.name.clone(),
            quantity: self.quantity,
            unit_price: self.unit_price,
            total,
        })
    }
}

impl From<MoneyError> for ItemFault {
    fn from(error: MoneyError) -> Self {
        match error {
            MoneyError::Overflow => Self::TooExpensive,
            MoneyError::CurrencyMismatch | MoneyError::BadCurrency => Self::Currency,
        }
    }
}
