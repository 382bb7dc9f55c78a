//! The gateway's own books, against ours.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::Value;
use stanchion::sql::{DatabaseUrl, params};

use crate::findings::{Findings, Rule};
use crate::money::{Money, Payment};
use crate::store::open;

/// Where the sandbox gateway keeps its state.
const MODULE: &str = "sandbox";

/// A payment intent as the gateway keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) received: i64,
    pub(crate) refunded: i64,
    status: String,
}

/// The intents; `None` if the gateway keeps no books beside the stores.
pub(crate) async fn read_beside(stores: &DatabaseUrl) -> anyhow::Result<Option<Vec<Intent>>> {
    match stores.folder() {
        Some(folder) if folder.join(format!("{MODULE}.db")).exists() => {
            read(stores).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// The intents.
pub(crate) async fn read(url: &DatabaseUrl) -> anyhow::Result<Vec<Intent>> {
    let db = open(url, MODULE).await?;
    let rows = db
        .query("select id, body from intents order by id", params![])
        .await;
    let rows = rows.context("the gateway's books")?;
    let intents = rows.iter().map(|row| {
        let body: Value = row.json(1)?;
        let number = |name: &str| body[name].as_i64().unwrap_or_default();
        let status = body["status"].as_str().unwrap_or_default().to_owned();
        let (received, refunded) = (number("received"), number("refunded"));
        Ok(Intent {
            id: row.get(0)?,
            received,
            refunded,
            status,
        })
    });
    intents.collect()
}

pub(crate) fn judge(intents: &Option<Vec<Intent>>, money: &Money, findings: &mut Findings) {
    let Some(intents) = intents else { return };
    let mut ours: BTreeMap<&str, (&String, &Payment)> = BTreeMap::new();
    for (id, payment) in &money.by_id {
        if let Some(intent) = &payment.intent {
            ours.insert(intent, (id, payment));
        }
    }
    for intent in intents {
        let Intent {
            id,
            received,
            refunded,
            status,
        } = intent;
        findings.require(status != "requires_capture", Rule::GatewayDisagrees, || {
            format!("{id} still holds a customer's money")
        });
        match ours.remove(id.as_str()) {
            Some((payment_id, payment)) => {
                let (taken, given_back) = (payment.captured, payment.refunded);
                let agrees = taken == *received && given_back == *refunded;
                findings.require(agrees, Rule::GatewayDisagrees, || {
                    format!("{id} took {received} and gave back {refunded}, payment {payment_id} {taken} and {given_back}")
                });
            }
            None => findings.require(*received == 0, Rule::GatewayDisagrees, || {
                format!("{id} took {received} for no payment of ours")
            }),
        }
    }
    for (intent, (id, _)) in ours {
        findings.complain(
            Rule::GatewayDisagrees,
            format!("payment {id} names {intent}, which the gateway does not know"),
        );
    }
}
