//! One customer: orders, changes their mind now and then, and stays until all of it is settled.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::{Ask, Client};

const PASSWORD: &str = "orders under a hail of kills";

/// Demo products; there is one wooden spoon, and whatever is delivered.
const WANTED: [&str; 5] = [
    "COFFEE-BEANS-1KG",
    "MUG-BLUE",
    "PAPER-FILTER-100",
    "TEAPOT",
    "WOODEN-SPOON",
];

const SETTLED_POLL: Duration = Duration::from_millis(50);

pub(crate) struct Customer {
    client: Client,
    name: String,
    dice: StdRng,
    pause_max: Duration,
    id: String,
    /// Orders that are not known to be settled.
    open: Vec<String>,
}

impl Customer {
    pub(crate) fn new(client: Client, number: usize, seed: u64, pause_max: Duration) -> Self {
        let (name, dice) = (format!("customer{number}"), StdRng::seed_from_u64(seed));
        Self {
            client,
            name,
            dice,
            pause_max,
            id: String::new(),
            open: Vec::new(),
        }
    }

    pub(crate) async fn shop_until(mut self, closing: CancellationToken) {
        self.register().await;
        for number in 0.. {
            if closing.is_cancelled() {
                break;
            }
            let key = format!("{}-{number}", self.name);
            self.order(&key).await;
            let pause = self.dice.random_range(Duration::ZERO..=self.pause_max);
            tokio::time::sleep(pause).await;
        }
        while let Some(order) = self.open.pop() {
            self.see_settled(&order).await;
        }
    }

    async fn register(&mut self) {
        let body = json!({
            "email": format!("{}@example.com", self.name), "username": self.name, "password": PASSWORD,
        });
        let register = Ask {
            method: Method::POST,
            path: "/users",
            body: Some(body),
            key: None,
            wait: 0,
        };
        // A registration whose answer was lost says that the name is taken: by whom is known.
        self.client.ask(&register).await;
        self.client.log_in(&self.name, PASSWORD).await;
        let me = self.client.get("/users/me").await.data;
        me["id"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut self.id);
        self.client.ledger.customer(&self.id);
    }

    async fn order(&mut self, key: &str) {
        let (body, wait) = (self.wish(), if self.dice.random_bool(0.3) { 2 } else { 0 });
        self.client.ledger.asked(&self.id, key);
        let ask = Ask {
            method: Method::POST,
            path: "/orders",
            body: Some(body),
            key: Some(key),
            wait,
        };
        let began = Instant::now();
        let answer = self.client.ask(&ask).await;
        let took = (wait == 0).then(|| began.elapsed());
        if !matches!(answer.status, 200 | 202) {
            return self.client.ledger.refused(&self.id, key, answer.status);
        }
        self.client.ledger.order(&self.id, key, &answer, took);
        let order = answer.data["id"].as_str().unwrap_or_default().to_owned();
        if self.dice.random_bool(0.15) {
            self.cancel(&order).await;
        } else if self.dice.random_bool(0.1) {
            let seen = self.client.get(&format!("/orders/{order}")).await;
            self.client.ledger.seen(&seen.data);
        }
        self.open.push(order);
        // Now and then it is an older one, so that there is money to give back.
        if self.dice.random_bool(0.06) {
            let older = self.dice.random_range(0..self.open.len());
            let order = self.open[older].clone();
            self.cancel(&order).await;
        }
    }

    /// One to three products; now and then with a card that is declined.
    fn wish(&mut self) -> Value {
        let first = self.dice.random_range(0..WANTED.len());
        let count = self.dice.random_range(1..=3);
        let items = (first..first + count).map(|n| {
            let quantity = self.dice.random_range(1..=3);
            json!({"sku": WANTED[n % WANTED.len()], "quantity": quantity})
        });
        let items: Vec<_> = items.collect();
        let declined = self.dice.random_bool(0.1);
        let method = if declined {
            "pm_card_chargeDeclined"
        } else {
            "pm_card_visa"
        };
        json!({"items": items, "payment_method": method})
    }

    async fn cancel(&mut self, order: &str) {
        let pause = self.dice.random_range(Duration::ZERO..=self.pause_max);
        tokio::time::sleep(pause).await;
        let path = format!("/orders/{order}/cancel");
        let ask = Ask {
            method: Method::POST,
            path: &path,
            body: None,
            key: None,
            wait: 0,
        };
        // Rejected meanwhile: then there is nothing to cancel, and nothing to note.
        if self.client.ask(&ask).await.status == 200 {
            self.client.ledger.cancelled(order);
        }
    }

    async fn see_settled(&mut self, order: &str) {
        let path = format!("/orders/{order}");
        loop {
            let seen = self.client.get(&path).await.data;
            if seen["status"] != "pending" {
                return self.client.ledger.seen(&seen);
            }
            tokio::time::sleep(SETTLED_POLL).await;
        }
    }
}
