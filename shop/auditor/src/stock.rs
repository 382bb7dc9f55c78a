//! Stock: what was delivered is available, held or sold, at every single event.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::findings::{Findings, Rule};
use crate::orders::Orders;
use crate::store::Event;

/// All products by SKU.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    pub(crate) by_sku: BTreeMap<String, Product>,
    /// The last event of each reservation, by the order's id.
    reservations: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
pub(crate) struct Product {
    /// What came in, less what was taken out by hand.
    pub(crate) delivered: i64,
    /// Of that, what was delivered or taken out after the product was made.
    pub(crate) adjusted: i64,
    pub(crate) available: i64,
    /// Order to quantity.
    held: BTreeMap<String, i64>,
    /// Order to quantity.
    sold: BTreeMap<String, i64>,
    pub(crate) listed: bool,
    pub(crate) version: i64,
    /// Name, description and price as they were last told.
    pub(crate) about: Value,
}

impl Stock {
    pub(crate) fn fold(events: &[Event], findings: &mut Findings) -> Self {
        let mut stock = Self::default();
        for event in events {
            match event.category.as_str() {
                "product" => stock.tell(event, findings),
                "reservation" => {
                    stock
                        .reservations
                        .insert(event.name.clone(), event.kind.clone());
                }
                other => findings.complain(Rule::Nonsense, format!("inventory keeps no `{other}`")),
            }
        }
        stock
    }

    pub(crate) fn judge(&self, orders: &Orders, findings: &mut Findings) {
        for (sku, product) in &self.by_sku {
            for (order, quantity) in &product.held {
                let text = format!("{quantity} of {sku} are still held for order {order}");
                findings.complain(Rule::StockDisagrees, text);
            }
            for order in product
                .sold
                .keys()
                .filter(|order| !orders.by_id.contains_key(*order))
            {
                findings.complain(
                    Rule::StockDisagrees,
                    format!("{sku} was sold to {order}, which is no order"),
                );
            }
        }
        for (id, order) in &orders.by_id {
            for (sku, wanted) in &order.items {
                let due = if order.status == "confirmed" {
                    *wanted
                } else {
                    0
                };
                let product = self.by_sku.get(sku);
                let sold = product
                    .and_then(|product| product.sold.get(id))
                    .copied()
                    .unwrap_or(0);
                findings.require(sold == due, Rule::StockDisagrees, || {
                    format!(
                        "order {id} is {} and {sold} of {sku} left the stock, not {due}",
                        order.status
                    )
                });
            }
        }
        self.judge_reservations(orders, findings);
    }

    fn judge_reservations(&self, orders: &Orders, findings: &mut Findings) {
        for (id, last) in &self.reservations {
            let status = orders.by_id.get(id).map_or("unknown", |order| order.status);
            let fits = match status {
                "confirmed" => last == "reservation_committed",
                _ => matches!(
                    last.as_str(),
                    "reservation_released" | "reservation_refused"
                ),
            };
            findings.require(fits, Rule::StockDisagrees, || {
                format!("order {id} is {status}, and its reservation ended with {last}")
            });
        }
    }

    fn tell(&mut self, event: &Event, findings: &mut Findings) {
        let product = self.by_sku.entry(event.name.clone()).or_default();
        let place = || format!("{} version {}", event.name, event.version);
        if let Err(why) = product.tell(event) {
            findings.complain(Rule::Nonsense, format!("{}: {why}", place()));
        }
        let (available, held, sold) = (product.available, product.held(), product.sold());
        findings.require(available >= 0, Rule::StockNegative, || {
            format!("{}: {available} available", place())
        });
        findings.require(
            product.delivered == available + held + sold,
            Rule::StockNotConserved,
            || {
                let delivered = product.delivered;
                format!(
                    "{}: {delivered} delivered, {available} available, {held} held, {sold} sold",
                    place()
                )
            },
        );
    }
}

impl Product {
    pub(crate) fn held(&self) -> i64 {
        self.held.values().sum()
    }

    pub(crate) fn sold(&self) -> i64 {
        self.sold.values().sum()
    }

    fn tell(&mut self, event: &Event) -> Result<(), String> {
        self.version = event.version;
        let number = |pointer: &str| {
            event
                .number(pointer)
                .ok_or_else(|| format!("no number at {pointer}"))
        };
        match event.kind.as_str() {
            "product_created" => {
                let available = number("/available")?;
                self.available += available;
                self.delivered += available;
                self.listed = true;
                self.about = event.data["about"].clone();
            }
            "product_described" => self.about = event.data["about"].clone(),
            "product_withdrawn" => {
                self.delivered -= self.available;
                self.available = 0;
                self.listed = false;
            }
            "stock_adjusted" => {
                let delta = number("/delta")?;
                self.available += delta;
                self.delivered += delta;
                self.adjusted += delta;
            }
            _ => return self.move_stock(event, number("/quantity")?),
        }
        Ok(())
    }

    /// Between available, held and sold; an order holds and buys a product once.
    fn move_stock(&mut self, event: &Event, quantity: i64) -> Result<(), String> {
        let order = event.text("/order_id").to_owned();
        if quantity <= 0 || order.is_empty() {
            return Err(format!("{} of {quantity} for `{order}`", event.kind));
        }
        let (from, to) = match event.kind.as_str() {
            "stock_held" => {
                self.available -= quantity;
                (None, self.held.insert(order.clone(), quantity))
            }
            "held_stock_committed" => (
                Some(self.held.remove(&order)),
                self.sold.insert(order.clone(), quantity),
            ),
            "held_stock_released" => {
                self.available += quantity;
                (Some(self.held.remove(&order)), None)
            }
            "stock_returned" => {
                self.available += quantity;
                (Some(self.sold.remove(&order)), None)
            }
            other => return Err(format!("what is `{other}`?")),
        };
        let matched = from.is_none_or(|taken| taken == Some(quantity)) && to.is_none();
        if matched {
            Ok(())
        } else {
            Err(format!(
                "{} of {quantity} for {order}, from {from:?}, over {to:?}",
                event.kind
            ))
        }
    }
}
