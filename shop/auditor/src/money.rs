//! Payments: every movement balanced, every payment what its order says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::findings::{Findings, Rule};
use crate::orders::{Order, Orders};
use crate::store::Event;

/// All payments by id, and the accounts.
#[derive(Debug, Default)]
pub(crate) struct Money {
    pub(crate) by_id: BTreeMap<String, Payment>,
    /// Account and currency to balance.
    pub(crate) accounts: BTreeMap<(String, String), i64>,
}

#[derive(Debug, Default)]
pub(crate) struct Payment {
    pub(crate) order: String,
    pub(crate) customer: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) intent: Option<String>,
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
    pub(crate) version: i64,
    requested: bool,
    captures: u32,
    refunds: BTreeSet<String>,
    stage: Stage,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Pending,
    Authorized,
    Declined,
    Voided,
    Captured,
}

impl Money {
    pub(crate) fn fold(events: &[Event], findings: &mut Findings) -> Self {
        let mut money = Self::default();
        for event in events.iter().filter(|event| event.category == "payment") {
            let payment = money.by_id.entry(event.name.clone()).or_default();
            let place = || format!("payment {} version {}", event.name, event.version);
            if let Err(why) = payment.tell(event) {
                findings.complain(Rule::Nonsense, format!("{}: {why}", place()));
            }
            money.book(event, place, findings);
        }
        money
    }

    pub(crate) fn judge(&self, orders: &Orders, findings: &mut Findings) {
        for (currency, sum) in self.sums() {
            findings.require(sum == 0, Rule::MoneyUnbalanced, || {
                format!("all accounts together hold {sum} {currency}")
            });
        }
        let mut paid = BTreeMap::new();
        for (id, payment) in self.by_id.iter().filter(|(_, payment)| payment.requested) {
            if let Some(other) = paid.insert(payment.order.clone(), id) {
                let text = format!("order {} has the payments {other} and {id}", payment.order);
                findings.complain(Rule::MoneyDisagrees, text);
            }
            match orders.by_id.get(&payment.order) {
                Some(order) => payment.judge(id, order, findings),
                None => findings.complain(
                    Rule::MoneyDisagrees,
                    format!("payment {id} is of {}, which is no order", payment.order),
                ),
            }
        }
        for (id, order) in orders
            .by_id
            .iter()
            .filter(|(_, order)| order.status == "confirmed")
        {
            let paid = self
                .by_id
                .get(&order.payment)
                .is_some_and(|payment| payment.order == *id);
            findings.require(paid, Rule::MoneyDisagrees, || {
                format!("order {id} is confirmed and was never paid")
            });
        }
    }

    /// The sum of all accounts, by currency.
    pub(crate) fn sums(&self) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for ((_, currency), balance) in &self.accounts {
            *sums.entry(currency.clone()).or_insert(0) += balance;
        }
        sums
    }

    fn book(&mut self, event: &Event, place: impl Fn() -> String, findings: &mut Findings) {
        let Some(entries) = event.data["entries"].as_array() else {
            return;
        };
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for entry in entries {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let amount = entry["amount"].as_i64().unwrap_or_default();
            *sums.entry(text("currency")).or_default() += amount;
            *self
                .accounts
                .entry((text("account"), text("currency")))
                .or_default() += amount;
        }
        let moved = entries
            .iter()
            .filter_map(|entry| entry["amount"].as_i64())
            .map(i64::abs)
            .max();
        let told = event.number("/amount/amount");
        findings.require(moved == told, Rule::MoneyUnbalanced, || {
            format!("{}: moves {moved:?}, tells {told:?}", place())
        });
        for (currency, sum) in sums {
            findings.require(sum == 0, Rule::MoneyUnbalanced, || {
                format!("{}: {sum} {currency} out of nothing", place())
            });
        }
    }
}

impl Payment {
    /// What the world is told of it.
    pub(crate) fn status(&self) -> &'static str {
        match self.stage {
            Stage::Pending => "pending",
            Stage::Authorized => "authorized",
            Stage::Declined => "declined",
            Stage::Voided => "voided",
            Stage::Captured if self.refunded == 0 => "captured",
            Stage::Captured if self.refunded == self.captured => "refunded",
            Stage::Captured => "partially_refunded",
        }
    }

    /// Whether it was ever asked for: one cancelled before that was not.
    pub(crate) fn was_requested(&self) -> bool {
        self.requested
    }

    fn judge(&self, id: &str, order: &Order, findings: &mut Findings) {
        let status = self.status();
        let same =
            self.amount == order.total && self.currency == order.currency && order.payment == id;
        findings.require(same, Rule::MoneyDisagrees, || {
            format!(
                "payment {id} is of {} {}, its order of {} {}",
                self.amount, self.currency, order.total, order.currency
            )
        });
        let fits = match order.status {
            "confirmed" => self.captured == order.total,
            _ => self.captured == self.refunded && !matches!(status, "pending" | "authorized"),
        };
        findings.require(fits, Rule::MoneyDisagrees, || {
            let (captured, refunded) = (self.captured, self.refunded);
            format!(
                "order {} is {}, payment {id} is {status}: {captured} taken, {refunded} given back",
                self.order, order.status
            )
        });
    }

    fn tell(&mut self, event: &Event) -> Result<(), String> {
        self.version = event.version;
        let amount = event.number("/amount/amount");
        match event.kind.as_str() {
            "requested" => {
                self.requested = true;
                self.order = event.text("/order_id").to_owned();
                self.customer = event.text("/customer_id").to_owned();
                self.currency = event.text("/amount/currency").to_owned();
                self.amount = amount.ok_or("it asks for no amount")?;
            }
            "authorized" => {
                self.stage = Stage::Authorized;
                self.intent = event.data["intent"].as_str().map(str::to_owned);
            }
            "declined" => self.stage = Stage::Declined,
            "voided" => self.stage = Stage::Voided,
            "captured" => return self.capture(amount.ok_or("it takes no amount")?),
            "refunded" => {
                return self.refund(
                    &event.data["refund_id"],
                    amount.ok_or("it returns no amount")?,
                );
            }
            "capture_requested" | "capture_confirmed" | "capture_failed" | "cancel_requested"
            | "void_requested" | "refund_requested" | "refund_failed" | "cancelled" => {}
            other => return Err(format!("what is `{other}`?")),
        }
        Ok(())
    }

    fn capture(&mut self, amount: i64) -> Result<(), String> {
        self.captures += 1;
        self.captured += amount;
        self.stage = Stage::Captured;
        if self.captures > 1 || amount != self.amount {
            return Err(format!(
                "capture number {} takes {amount} of {}",
                self.captures, self.amount
            ));
        }
        Ok(())
    }

    fn refund(&mut self, id: &Value, amount: i64) -> Result<(), String> {
        self.refunded += amount;
        let new = self
            .refunds
            .insert(id.as_str().unwrap_or_default().to_owned());
        if !new || amount <= 0 || self.refunded > self.captured {
            return Err(format!(
                "refund {id} of {amount}: {} of {} given back",
                self.refunded, self.captured
            ));
        }
        Ok(())
    }
}
