//! The list tables, against what the logs make of them.

mod users;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use stanchion::sql::{Db, Row, params};
use uuid::Uuid;

use crate::findings::{Findings, Rule};
use crate::money::Money;
use crate::orders::Orders;
use crate::stock::Stock;
use crate::store::Books;

/// Each row as a line of text, by its key.
type Rows = BTreeMap<String, String>;

/// What stands in the list tables.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) orders: Rows,
    pub(crate) products: Rows,
    pub(crate) payments: Rows,
    pub(crate) users: Rows,
}

pub(crate) async fn read(databases: &BTreeMap<&str, Db>) -> anyhow::Result<Listed> {
    let rows =
        async |module: &str, sql: &str, line: fn(&Row) -> anyhow::Result<(String, String)>| {
            let rows = databases[module].query(sql, params![]).await?;
            rows.iter().map(line).collect::<anyhow::Result<Rows>>()
        };
    Ok(Listed {
        orders: rows("orders", "select * from order_summaries", order_line).await?,
        products: rows("inventory", "select * from products", product_line).await?,
        payments: rows("payments", "select * from payments", payment_line).await?,
        users: rows("identity", "select * from users", users::line).await?,
    })
}

pub(crate) fn judge(
    books: &Books,
    orders: &Orders,
    stock: &Stock,
    money: &Money,
    findings: &mut Findings,
) {
    let listed = &books.listed;
    compare("order", &listed.orders, &orders_due(orders), findings);
    compare("product", &listed.products, &products_due(stock), findings);
    compare("payment", &listed.payments, &payments_due(money), findings);
    compare(
        "user",
        &listed.users,
        &users::due(books.events("identity")),
        findings,
    );
}

fn compare(what: &str, listed: &Rows, due: &Rows, findings: &mut Findings) {
    for (key, due) in due {
        match listed.get(key) {
            Some(found) if found == due => {}
            Some(found) => findings.complain(
                Rule::ProjectionDiffers,
                format!("{what} {key} is listed as [{found}], its log makes it [{due}]"),
            ),
            None => findings.complain(
                Rule::ProjectionDiffers,
                format!("{what} {key} is not listed"),
            ),
        }
    }
    for key in listed.keys().filter(|key| !due.contains_key(*key)) {
        findings.complain(
            Rule::ProjectionDiffers,
            format!("{what} {key} is listed and not in the log"),
        );
    }
}

fn order_line(row: &Row) -> anyhow::Result<(String, String)> {
    let id: Uuid = row.named("order_id")?;
    let items: Value = row.named("items")?;
    let (customer, payment): (Uuid, Uuid) = (row.named("customer_id")?, row.named("payment_id")?);
    let (status, reason): (String, Option<String>) = (row.named("status")?, row.named("reason")?);
    let (total, currency): (i64, String) = (row.named("total")?, row.named("currency")?);
    let (placed, settled): (Timestamp, Option<Timestamp>) =
        (row.named("placed_at")?, row.named("settled_at")?);
    let version: i64 = row.named("version")?;
    let settled = settled.map_or_else(String::new, |at| at.to_string());
    let reason = reason.unwrap_or_default();
    let line = format!(
        "{customer} {payment} {status} {reason} {total} {currency} v{version} {placed} {settled} {}",
        contents(&items)
    );
    Ok((id.to_string(), line))
}

fn orders_due(orders: &Orders) -> Rows {
    let lines = orders.by_id.iter().map(|(id, order)| {
        let settled = order.settled_at.as_deref().map_or_else(String::new, instant);
        let placed = instant(order.placed["at"].as_str().unwrap_or_default());
        let (customer, payment, status) = (&order.customer, &order.payment, order.status);
        let reason = order.reason.as_deref().unwrap_or_default();
        let (total, currency, version) = (order.total, &order.currency, order.version);
        let items = contents(&order.placed["items"]);
        let line = format!("{customer} {payment} {status} {reason} {total} {currency} v{version} {placed} {settled} {items}");
        (id.clone(), line)
    });
    lines.collect()
}

/// Items as text in which the order of fields does not count.
fn contents(items: &Value) -> String {
    let items = items.as_array().into_iter().flatten().map(|item| {
        format!(
            "{}x{} {} {} {}",
            item["quantity"],
            item["sku"],
            item["name"],
            item["unit_price"]["amount"],
            item["total"]["amount"]
        )
    });
    items.collect::<Vec<_>>().join(", ")
}

fn product_line(row: &Row) -> anyhow::Result<(String, String)> {
    let sku: String = row.named("sku")?;
    let (name, description): (String, String) = (row.named("name")?, row.named("description")?);
    let (price, currency): (i64, String) =
        (row.named("price_amount")?, row.named("price_currency")?);
    let (available, version): (i64, i64) = (row.named("available")?, row.named("version")?);
    let listed: bool = row.named("listed")?;
    Ok((
        sku,
        format!(
            "{name:?} {description:?} {price} {currency} {available} listed={listed} v{version}"
        ),
    ))
}

fn products_due(stock: &Stock) -> Rows {
    let lines = stock.by_sku.iter().map(|(sku, product)| {
        let text = |pointer: &str| {
            product
                .about
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (name, description, currency) =
            (text("/name"), text("/description"), text("/price/currency"));
        let price = product.about["price"]["amount"]
            .as_i64()
            .unwrap_or_default();
        let (available, listed, version) = (product.available, product.listed, product.version);
        (
            sku.clone(),
            format!(
                "{name:?} {description:?} {price} {currency} {available} listed={listed} v{version}"
            ),
        )
    });
    lines.collect()
}

fn payment_line(row: &Row) -> anyhow::Result<(String, String)> {
    let (id, order): (Uuid, Uuid) = (row.named("payment_id")?, row.named("order_id")?);
    let customer: Uuid = row.named("customer_id")?;
    let (amount, refunded): (i64, i64) = (row.named("amount")?, row.named("refunded")?);
    let (status, currency): (String, String) = (row.named("status")?, row.named("currency")?);
    Ok((
        id.to_string(),
        format!("{order} {customer} {status} {amount} {refunded} {currency}"),
    ))
}

fn payments_due(money: &Money) -> Rows {
    let lines = money
        .by_id
        .iter()
        .filter(|(_, payment)| payment.was_requested())
        .map(|(id, payment)| {
            let (order, customer, status) = (&payment.order, &payment.customer, payment.status());
            let (amount, refunded, currency) =
                (payment.amount, payment.refunded, &payment.currency);
            (
                id.clone(),
                format!("{order} {customer} {status} {amount} {refunded} {currency}"),
            )
        });
    lines.collect()
}

/// An instant in the one form that both sides are brought to.
fn instant(text: &str) -> String {
    text.parse::<Timestamp>()
        .map_or_else(|_| text.to_owned(), |at| at.to_string())
}
