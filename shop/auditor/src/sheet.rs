//! The balance sheet: figures first, the verdict last.

use std::collections::BTreeMap;
use std::fmt::Write;

use stanchion::sql::DatabaseUrl;

use crate::clients::Clients;
use crate::findings::Complaint;
use crate::money::Money;
use crate::orders::Orders;
use crate::stock::Stock;
use crate::store::Books;

/// More complaints than this are counted, not shown.
const COMPLAINTS_SHOWN: usize = 40;

const RULER: &str =
    "──────────────────────────────────────────────────────────────────────────────\n";

pub(crate) fn render(
    url: &DatabaseUrl,
    books: &Books,
    orders: &Orders,
    stock: &Stock,
    money: &Money,
    clients: Option<&Clients>,
    complaints: &[Complaint],
) -> String {
    let mut sheet = format!("{RULER}The shop's books at {url}\n{RULER}");
    for part in [
        orders_part(orders, clients),
        stock_part(stock),
        money_part(money, orders, books),
        logs_part(books),
        verdict(complaints),
    ] {
        sheet.push_str(&part);
        sheet.push_str(RULER);
    }
    sheet
}

fn orders_part(orders: &Orders, clients: Option<&Clients>) -> String {
    let mut text = format!("ORDERS {:>45}\n", grouped(orders.by_id.len()));
    let mut groups: BTreeMap<String, (usize, i64)> = BTreeMap::new();
    for order in orders.by_id.values() {
        let reason = order
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(", {reason}"));
        let group = groups
            .entry(format!("{}{reason}", order.status))
            .or_default();
        *group = (group.0 + 1, group.1 + order.total);
    }
    for (name, (count, total)) in groups {
        line(&mut text, &name, &[&grouped(count), &cents(total)]);
    }
    if let Some(clients) = clients {
        let acknowledged: usize = clients
            .answered
            .values()
            .map(std::collections::BTreeSet::len)
            .sum();
        line(
            &mut text,
            "acknowledged to clients",
            &[&grouped(acknowledged)],
        );
        line(
            &mut text,
            "cancellations acknowledged",
            &[&grouped(clients.cancelled.len())],
        );
    }
    text
}

fn stock_part(stock: &Stock) -> String {
    let mut text = format!(
        "{:<22}{:>14}{:>14}{:>14}{:>14}\n",
        "STOCK", "delivered", "available", "held", "sold"
    );
    for (sku, product) in &stock.by_sku {
        let figures = [
            product.delivered,
            product.available,
            product.held(),
            product.sold(),
        ];
        let adds_up = figures[0] == figures[1] + figures[2] + figures[3];
        let _ = write!(text, "  {sku:<20}");
        for figure in figures {
            let _ = write!(text, "{:>14}", grouped(figure));
        }
        text.push_str(if adds_up { "\n" } else { "  ✗\n" });
    }
    text
}

fn money_part(money: &Money, orders: &Orders, books: &Books) -> String {
    let mut text = format!("MONEY {:>46}{:>18}\n", "payments", "amount");
    let payments = money
        .by_id
        .values()
        .filter(|payment| payment.was_requested());
    let (mut captured, mut refunded, mut count) = (0, 0, 0_usize);
    for payment in payments {
        (captured, refunded, count) = (
            captured + payment.captured,
            refunded + payment.refunded,
            count + 1,
        );
    }
    let confirmed = orders
        .by_id
        .values()
        .filter(|order| order.status == "confirmed");
    let owed: i64 = confirmed.map(|order| order.total).sum();
    line(&mut text, "taken", &[&grouped(count), &cents(captured)]);
    line(&mut text, "given back", &["", &cents(refunded)]);
    line(&mut text, "kept", &["", &cents(captured - refunded)]);
    line(&mut text, "what confirmed orders cost", &["", &cents(owed)]);
    if let Some(intents) = &books.intents {
        let kept: i64 = intents
            .iter()
            .map(|intent| intent.received - intent.refunded)
            .sum();
        line(
            &mut text,
            "kept by the gateway's books",
            &[&grouped(intents.len()), &cents(kept)],
        );
    }
    for ((account, currency), balance) in &money.accounts {
        line(
            &mut text,
            &format!("account {account} ({currency})"),
            &["", &cents(*balance)],
        );
    }
    for (currency, sum) in money.sums() {
        line(
            &mut text,
            &format!("all accounts ({currency})"),
            &["", &cents(sum)],
        );
    }
    text
}

fn logs_part(books: &Books) -> String {
    let mut text = format!(
        "{:<22}{:>14}{:>14}{:>14}{:>14}\n",
        "LOGS", "entries", "readers", "at the head", "put aside"
    );
    for store in &books.stores {
        let readers = books.stores.iter().flat_map(|other| &other.checkpoints);
        let readers: Vec<_> = readers
            .filter(|checkpoint| checkpoint.log == store.log)
            .collect();
        let there = readers
            .iter()
            .filter(|checkpoint| checkpoint.position == store.head())
            .count();
        let _ = write!(
            text,
            "  {:<20}{:>14}",
            store.module,
            grouped(store.events.len())
        );
        let _ = writeln!(
            text,
            "{:>14}{there:>14}{:>14}",
            readers.len(),
            store.parked.len()
        );
    }
    text
}

fn verdict(complaints: &[Complaint]) -> String {
    if complaints.is_empty() {
        return "VERDICT  everything adds up\n".to_owned();
    }
    let mut text = format!(
        "VERDICT  {} things do not add up\n",
        grouped(complaints.len())
    );
    for complaint in complaints.iter().take(COMPLAINTS_SHOWN) {
        let _ = writeln!(text, "  ✗ {complaint}");
    }
    if complaints.len() > COMPLAINTS_SHOWN {
        let _ = writeln!(text, "  … and {} more", complaints.len() - COMPLAINTS_SHOWN);
    }
    text
}

/// A name, a count and perhaps an amount.
fn line(text: &mut String, name: &str, figures: &[&str]) {
    let _ = write!(text, "  {name:<30}");
    for (figure, width) in figures.iter().zip([20, 18]) {
        let _ = write!(text, "{figure:>width$}");
    }
    text.push('\n');
}

/// Minor units with two places.
fn cents(amount: i64) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    let amount = amount.unsigned_abs();
    format!("{sign}{}.{:02}", grouped(amount / 100), amount % 100)
}

/// Digits in groups of three.
fn grouped(number: impl ToString) -> String {
    let digits = number.to_string();
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut text = String::from(sign);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped_and_amounts_have_two_places() {
        assert_eq!(
            [grouped(0), grouped(1_000), grouped(-1_234_567)],
            ["0", "1,000", "-1,234,567"]
        );
        assert_eq!(
            [cents(0), cents(5), cents(-123_456)],
            ["0.00", "0.05", "-1,234.56"]
        );
    }
}
