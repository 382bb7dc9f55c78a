//! Deliveries, so that what is sold out comes back: each under its key, booked once.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::client::{Ask, Client};

const PAUSE: Duration = Duration::from_millis(300);

const DELIVERED: [&str; 2] = ["WOODEN-SPOON", "TEAPOT"];

pub(crate) async fn deliver_until(
    mut client: Client,
    password: String,
    seed: u64,
    closing: CancellationToken,
) {
    let mut dice = StdRng::seed_from_u64(seed);
    client.log_in("admin", &password).await;
    for number in 0.. {
        if closing.is_cancelled() {
            return;
        }
        let sku = DELIVERED[dice.random_range(0..DELIVERED.len())];
        let (quantity, key) = (dice.random_range(1..=4), format!("delivery-{number}"));
        let path = format!("/products/{sku}/stock");
        let body = json!({"delta": quantity, "reason": "delivery"});
        let ask = Ask {
            method: Method::POST,
            path: &path,
            body: Some(body),
            key: Some(&key),
            wait: 0,
        };
        if client.ask(&ask).await.status == 200 {
            client.ledger.delivered(sku, quantity, &key);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
