//! A customer with an order, for whom everybody asks.

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::ask::{complete, rest};
use crate::http1::Http1;
use crate::tally::Way;

const PASSWORD: &str = "served while it is restarted";

/// What everybody orders.
pub(crate) const ORDER: &[u8] =
    br#"{"items": [{"sku": "MUG-BLUE", "quantity": 1}], "payment_method": "pm_card_visa"}"#;

/// The customer's.
pub(crate) struct Account {
    /// The header's value.
    pub(crate) bearer: String,
    /// An order that is not cancelled: a watch of it does not end by itself.
    pub(crate) order: String,
}

impl Account {
    /// Registers, logs in and orders.
    pub(crate) async fn open(http1: &Http1, seed: u64) -> anyhow::Result<Self> {
        let name = format!("rolling{seed}");
        let new =
            json!({"email": format!("{name}@example.com"), "username": name, "password": PASSWORD});
        // Of an earlier run with this seed: then it is there.
        let registered = post(http1, "/users", "", None, &new).await?.0;
        ensure!(matches!(registered, 201 | 409), "registering: {registered}");
        let login = json!({"login": name, "password": PASSWORD});
        let (_, tokens) = post(http1, "/auth/login", "", None, &login).await?;
        let token = tokens["data"]["access_token"].as_str();
        let bearer = format!(
            "Bearer {}",
            token.with_context(|| format!("no token: {tokens}"))?
        );
        let order: Value = serde_json::from_slice(ORDER)?;
        let key = format!("first-{seed}");
        let (_, placed) = post(http1, "/orders", &bearer, Some(&key), &order).await?;
        let order = placed["data"]["id"].as_str();
        let order = order
            .with_context(|| format!("no order: {placed}"))?
            .to_owned();
        Ok(Self { bearer, order })
    }
}

async fn post(
    http1: &Http1,
    path: &str,
    bearer: &str,
    key: Option<&str>,
    body: &Value,
) -> anyhow::Result<(u16, Value)> {
    let mut request = rest(
        Method::POST,
        http1.targets.authority(),
        &format!("/api/v1{path}"),
    );
    if !bearer.is_empty() {
        request = request.header("authorization", bearer);
    }
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let request = complete(request, Bytes::from(body.to_string()));
    let answer = http1.ask(&request, &mut Way::default()).await;
    let (status, body) = answer.map_err(anyhow::Error::msg)?;
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}
