//! Reads the shop's stores and judges them.
//!
//! It shares no rule with what it judges: nothing of the shop's code is used, every event is folded
//! here from its JSON, and every sum is made anew. It never writes. Judge a shop that has stopped,
//! or one that has come to rest: while orders are under way it rightly finds them unsettled.

mod clients;
mod findings;
mod gateway;
mod logs;
mod money;
mod orders;
mod progress;
mod projections;
mod sheet;
mod stock;
mod store;

use std::path::Path;

use stanchion::sql::DatabaseUrl;

pub use findings::{Complaint, Rule};

use clients::Clients;
use findings::Findings;
use money::Money;
use orders::Orders;
use stock::Stock;
use store::Books;

/// What an audit came to.
#[derive(Debug)]
pub struct Audit {
    /// Everything that does not add up; empty is what one hopes for.
    pub complaints: Vec<Complaint>,
    /// The balance sheet, to be read by a person.
    pub sheet: String,
}

/// Reads the stores at `url` and judges them.
///
/// `gateway` is where the sandbox gateway keeps its books; unless given they are looked for beside
/// embedded stores, and not judged if they are not there. `ledger` is what clients noted down of the answers they got, a JSON object a line.
///
/// # Errors
/// A store cannot be read at all; what can be read but does not add up is a complaint.
pub async fn audit(
    url: &DatabaseUrl,
    gateway: Option<&DatabaseUrl>,
    ledger: Option<&Path>,
) -> anyhow::Result<Audit> {
    let books = Books::read(url, gateway).await?;
    let clients = ledger.map(Clients::read).transpose()?;
    let mut findings = Findings::default();
    for store in &books.stores {
        logs::judge(store, &mut findings);
        progress::judge(store, &books.stores, &mut findings);
    }
    let orders = Orders::fold(books.events("orders"), &mut findings);
    let stock = Stock::fold(books.events("inventory"), &mut findings);
    let money = Money::fold(books.events("payments"), &mut findings);
    orders.judge(&mut findings);
    stock.judge(&orders, &mut findings);
    money.judge(&orders, &mut findings);
    gateway::judge(&books.intents, &money, &mut findings);
    projections::judge(&books, &orders, &stock, &money, &mut findings);
    if let Some(clients) = &clients {
        clients.judge(&orders, &stock, &mut findings);
    }
    let complaints = findings.complaints();
    let sheet = sheet::render(
        url,
        &books,
        &orders,
        &stock,
        &money,
        clients.as_ref(),
        &complaints,
    );
    Ok(Audit { complaints, sheet })
}
