//! What clients noted down of the answers they got, against what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use crate::findings::{Findings, Rule};
use crate::orders::Orders;
use crate::stock::Stock;

/// The clients' ledger.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    /// Customers that place orders with noted keys only.
    customers: BTreeSet<String>,
    /// Idempotency key, with its customer, to the orders it was answered with.
    pub(crate) answered: BTreeMap<String, BTreeSet<String>>,
    /// Keys that were sent and never answered with anything final.
    open: BTreeSet<String>,
    /// Order to a status that is final and was told.
    told: BTreeMap<String, BTreeSet<String>>,
    /// Orders whose cancellation was acknowledged.
    pub(crate) cancelled: BTreeSet<String>,
    /// SKU to what was delivered, as acknowledged; each delivery once.
    delivered: BTreeMap<String, i64>,
    deliveries: BTreeSet<String>,
    /// Lines read.
    pub(crate) lines: usize,
}

impl Clients {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("the clients' ledger {}", path.display()))?;
        let mut clients = Self::default();
        for (number, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
        {
            let note = serde_json::from_str(line);
            clients.note(&note.with_context(|| format!("{}:{}", path.display(), number + 1))?);
        }
        Ok(clients)
    }

    pub(crate) fn judge(&self, orders: &Orders, stock: &Stock, findings: &mut Findings) {
        for (sku, delivered) in &self.delivered {
            let booked = stock.by_sku.get(sku).map_or(0, |product| product.adjusted);
            findings.require(booked == *delivered, Rule::StockNotConserved, || {
                format!("{delivered} of {sku} were delivered, {booked} are booked")
            });
        }
        let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
        for (key, ids) in &self.answered {
            findings.require(ids.len() == 1, Rule::OrderDoubled, || {
                format!("key {key} was answered with {ids:?}")
            });
            for id in ids {
                if let Some(other) = keys.insert(id, key) {
                    findings.complain(
                        Rule::OrderDoubled,
                        format!("order {id} answers the keys {other} and {key}"),
                    );
                }
                let known = orders.by_id.contains_key(id);
                findings.require(known, Rule::OrderLost, || {
                    format!("order {id}, acknowledged for key {key}, is not there")
                });
            }
        }
        // Every key was asked until it was answered, so an order that no answer named came of a second try.
        let theirs = orders
            .by_id
            .iter()
            .filter(|(_, order)| self.customers.contains(&order.customer));
        for (id, order) in theirs.filter(|(id, _)| !keys.contains_key(id.as_str())) {
            findings.complain(
                Rule::OrderDoubled,
                format!("order {id} of {} answers no key", order.customer),
            );
        }
        for key in &self.open {
            findings.complain(Rule::ClientMisled, format!("key {key} never got an answer"));
        }
        self.judge_promises(orders, findings);
    }

    fn judge_promises(&self, orders: &Orders, findings: &mut Findings) {
        for (id, told) in &self.told {
            let Some(order) = orders.by_id.get(id) else {
                continue;
            };
            for status in told {
                let later_cancelled = status == "confirmed" && order.status == "cancelled";
                findings.require(
                    status == order.status || later_cancelled,
                    Rule::ClientMisled,
                    || format!("order {id} was told to be {status} and is {}", order.status),
                );
            }
        }
        for id in &self.cancelled {
            let status = orders.by_id.get(id).map_or("gone", |order| order.status);
            findings.require(status == "cancelled", Rule::ClientMisled, || {
                format!("order {id} was acknowledged as cancelled and is {status}")
            });
        }
    }

    fn note(&mut self, note: &Value) {
        self.lines += 1;
        let text = |name: &str| note[name].as_str().unwrap_or_default().to_owned();
        let key = format!("{}/{}", text("customer"), text("key"));
        match note["what"].as_str().unwrap_or_default() {
            "customer" => drop(self.customers.insert(text("customer"))),
            "asked" if !self.answered.contains_key(&key) => drop(self.open.insert(key)),
            "refused" => drop(self.open.remove(&key)),
            "order" => {
                self.open.remove(&key);
                self.answered.entry(key).or_default().insert(text("order"));
                self.status(text("order"), text("status"));
            }
            "seen" => self.status(text("order"), text("status")),
            "cancelled" => drop(self.cancelled.insert(text("order"))),
            "delivered" if self.deliveries.insert(text("key")) => {
                let quantity = note["quantity"].as_i64().unwrap_or_default();
                *self.delivered.entry(text("sku")).or_default() += quantity;
            }
            _ => {}
        }
    }

    fn status(&mut self, order: String, status: String) {
        if status != "pending" {
            self.told.entry(order).or_default().insert(status);
        }
    }
}
