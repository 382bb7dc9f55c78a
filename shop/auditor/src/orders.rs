//! Orders and their fulfilment, folded from their events.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::findings::{Findings, Rule};
use crate::store::Event;

/// All orders by id.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) by_id: BTreeMap<String, Order>,
    /// How each fulfilment stands, by the order's id.
    fulfilments: BTreeMap<String, Fulfilment>,
}

#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) customer: String,
    pub(crate) payment: String,
    /// SKU to quantity.
    pub(crate) items: BTreeMap<String, i64>,
    pub(crate) total: i64,
    pub(crate) currency: String,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) version: i64,
    /// As it was placed.
    pub(crate) placed: Value,
    /// When it left `pending`.
    pub(crate) settled_at: Option<String>,
}

#[derive(Debug, Default)]
struct Fulfilment {
    last: String,
    captured: bool,
    compensated: bool,
}

impl Orders {
    pub(crate) fn fold(events: &[Event], findings: &mut Findings) -> Self {
        let mut orders = Self::default();
        for event in events {
            let read = match event.category.as_str() {
                "order" => orders.tell(event),
                "fulfilment" => {
                    orders.fulfil(event);
                    Ok(())
                }
                other => Err(format!("orders keeps no `{other}`")),
            };
            if let Err(why) = read {
                findings.complain(
                    Rule::Nonsense,
                    format!("order {} version {}: {why}", event.name, event.version),
                );
            }
        }
        orders
    }

    pub(crate) fn judge(&self, findings: &mut Findings) {
        for (id, order) in &self.by_id {
            let settled = order.status != "pending";
            findings.require(settled, Rule::OrderUnsettled, || {
                format!("order {id} is still pending")
            });
            let fulfilment = self.fulfilments.get(id);
            let agrees = fulfilment.is_some_and(|fulfilment| fulfilment.agrees_with(order));
            findings.require(agrees, Rule::OrderUnsettled, || {
                let last = fulfilment.map_or("nothing", |fulfilment| &fulfilment.last);
                format!(
                    "order {id} is {}, but its fulfilment ended with {last}",
                    order.status
                )
            });
        }
        for id in self
            .fulfilments
            .keys()
            .filter(|id| !self.by_id.contains_key(*id))
        {
            findings.complain(
                Rule::Nonsense,
                format!("a fulfilment of {id}, which is no order"),
            );
        }
    }

    fn tell(&mut self, event: &Event) -> Result<(), String> {
        if event.kind == "order_placed" {
            let order = placed(event)?;
            let before = self.by_id.insert(event.name.clone(), order);
            return if before.is_none() {
                Ok(())
            } else {
                Err("it is placed again".into())
            };
        }
        let order = self
            .by_id
            .get_mut(&event.name)
            .ok_or("it was never placed")?;
        let status = match (event.kind.as_str(), order.status) {
            ("order_confirmed", "pending") => "confirmed",
            ("order_rejected", "pending") => "rejected",
            ("order_cancelled", "pending" | "confirmed") => "cancelled",
            (kind, status) => return Err(format!("{kind} while it is {status}")),
        };
        order.status = status;
        order.version = event.version;
        order
            .settled_at
            .get_or_insert_with(|| event.text("/at").to_owned());
        if status == "rejected" {
            order.reason = Some(event.text("/reason").to_owned());
        }
        Ok(())
    }

    fn fulfil(&mut self, event: &Event) {
        let fulfilment = self.fulfilments.entry(event.name.clone()).or_default();
        fulfilment.last.clone_from(&event.kind);
        fulfilment.captured |= event.kind == "payment_captured";
        fulfilment.compensated |= event.kind == "compensation_started";
    }
}

impl Fulfilment {
    fn agrees_with(&self, order: &Order) -> bool {
        match order.status {
            "confirmed" => self.captured && !self.compensated,
            "rejected" => self.last == "fulfilment_failed",
            "cancelled" => matches!(
                self.last.as_str(),
                "fulfilment_cancelled" | "fulfilment_failed"
            ),
            _ => false,
        }
    }
}

fn placed(event: &Event) -> Result<Order, String> {
    let mut order = Order {
        customer: event.text("/customer_id").to_owned(),
        payment: event.text("/payment_id").to_owned(),
        items: BTreeMap::new(),
        total: event.number("/total/amount").ok_or("it has no total")?,
        currency: event.text("/total/currency").to_owned(),
        status: "pending",
        reason: None,
        version: event.version,
        placed: event.data.clone(),
        settled_at: None,
    };
    let mut sum = 0_i64;
    for item in event.data["items"].as_array().ok_or("it has no items")? {
        let number = |pointer: &str| item.pointer(pointer).and_then(Value::as_i64);
        let quantity = number("/quantity")
            .filter(|quantity| *quantity > 0)
            .ok_or("a quantity is no number")?;
        let price = number("/unit_price/amount").ok_or("a price is no number")?;
        let total = price
            .checked_mul(quantity)
            .ok_or("an item costs too much")?;
        if number("/total/amount") != Some(total) {
            return Err("an item's total is not its price times its quantity".into());
        }
        sum = sum.checked_add(total).ok_or("it costs too much")?;
        let sku = item["sku"].as_str().ok_or("an item has no SKU")?;
        if order.items.insert(sku.to_owned(), quantity).is_some() {
            return Err(format!("{sku} stands in it twice"));
        }
    }
    if sum != order.total {
        return Err(format!("its items cost {sum}, it costs {}", order.total));
    }
    Ok(order)
}
