//! Everything a client can get wrong, as one table: each row names what is sent, and the status and code it gets.
//!
//! Whatever is sent: no row may be answered with a 5xx or show the inside of the house, and after all
//! of them the shop's state is what it was.

mod bodies;
mod bytes;
mod cases;
mod headers;
mod orders;
mod parameters;
mod products;
mod tokens;
mod users;

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::support::{Answer, Caller, Shop, item};
use cases::{Case, Who};

/// A wrong request must not cost much.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// Words that only somebody who sees the inside knows.
const INSIDE: [&str; 22] = [
    "panicked",
    ".rs",
    "src/",
    "/root",
    "/home",
    "/tmp",
    "sqlite",
    "rusqlite",
    "postgres",
    "select ",
    "insert ",
    "constraint",
    "no such table",
    "tokio",
    "hyper",
    "axum",
    "serde",
    "stanchion",
    "struct ",
    "i64",
    "unwrap",
    "shop_",
];

/// What the rows are about.
struct Scene {
    shop: Shop,
    admin: Caller,
    ada: Caller,
    order: Answer,
    /// Text in braces, such as `{order}`, and what stands for it.
    words: Vec<(&'static str, String)>,
}

#[tokio::test]
async fn whatever_is_wrong_gets_its_status_and_code_and_changes_nothing() {
    let scene = Scene::set().await;
    let before = scene.state().await;
    let mut wrong = Vec::new();
    for case in rows() {
        if let Err(why) = scene.try_out(&case).await {
            wrong.push(format!("{}: {why}", case.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} rows are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let after = scene.state().await;
    assert_eq!(after, before, "the state is not what it was");
    let said = format!(
        "{}{}",
        scene.shop.process.stdout(),
        scene.shop.process.stderr()
    );
    let alarm = said
        .lines()
        .find(|line| line.contains("panicked") || line.contains("\"ERROR\""));
    assert_eq!(alarm, None, "the log is alarmed");
}

fn rows() -> Vec<Case> {
    let tables = [
        bodies::rows(),
        orders::rows(),
        products::rows(),
        users::rows(),
        parameters::rows(),
        headers::rows(),
        tokens::rows(),
    ];
    tables.into_iter().flatten().collect()
}

impl Scene {
    async fn set() -> Self {
        let shop = Shop::start().await;
        let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
        let order = ada.order(&item("MUG-BLUE", 1)).await;
        ada.post("/orders")
            .key("used")
            .json(&item("MUG-BLUE", 1))
            .wait(20)
            .send()
            .await
            .expect(200);
        let products = ada.get("/products?limit=1").send().await.expect(200);
        let cursor = products.meta()["next_cursor"].as_str().unwrap().to_owned();
        let own = ada.get("/orders?limit=1").send().await.expect(200);
        let own = own.meta()["next_cursor"]
            .as_str()
            .unwrap_or("none")
            .to_owned();
        let words = vec![
            ("{ada}", ada.id.clone()),
            ("{order}", order.text_at("/id")),
            ("{payment}", order.text_at("/payment_id")),
            ("{foreign-cursor}", cursor),
            ("{tampered-cursor}", tampered(&own)),
            ("{token}", ada.token.clone()),
            ("{refresh}", ada.refresh.clone()),
            ("{tampered-token}", tampered(&ada.token)),
            ("{tampered-refresh}", tampered(&ada.refresh)),
            ("{nobody}", stanchion::runtime::id::new_v7().to_string()),
        ];
        Self {
            shop,
            admin,
            ada,
            order,
            words,
        }
    }

    async fn try_out(&self, case: &Case) -> Result<(), String> {
        let caller = match case.who {
            Who::Anyone => self.shop.anyone(),
            Who::Customer => self.ada.clone(),
            Who::Admin => self.admin.clone(),
        };
        let mut ask = caller.ask(case.method.clone(), &self.filled(&case.path));
        for (name, value) in &case.headers {
            ask = match std::str::from_utf8(value) {
                Ok(text) => ask.header(name, &self.filled(text)),
                Err(_) => ask.header_bytes(name, value),
            };
        }
        if let Some(body) = &case.body {
            let body = match std::str::from_utf8(body) {
                Ok(text) => self.filled(text).into_bytes(),
                Err(_) => body.clone(),
            };
            ask = ask.body(body);
        }
        let begun = Instant::now();
        let answer = ask.try_send().await.map_err(|error| format!("{error:#}"))?;
        let took = begun.elapsed();
        if took > ANSWERED_WITHIN {
            return Err(format!("took {took:?}"));
        }
        judge(&answer, case.status, case.code)
    }

    fn filled(&self, text: &str) -> String {
        let fill = |text: String, (word, value): &(&str, String)| text.replace(word, value);
        self.words.iter().fold(text.to_owned(), fill)
    }

    /// Everything that a wrong request might change.
    async fn state(&self) -> Vec<Value> {
        let mut state = Vec::new();
        for list in ["products", "orders", "users", "payments"] {
            let path = format!("/{list}?limit=100");
            state.push(self.admin.get(&path).send().await.expect(200).data());
        }
        state.push(self.ada.see_order(&self.order.text_at("/id")).await.data());
        state
    }
}

/// Whether the answer is the documented one and keeps the inside to itself.
fn judge(answer: &Answer, status: u16, code: &str) -> Result<(), String> {
    if answer.status != status || (!code.is_empty() && answer.code() != code) {
        let told: String = answer.text.chars().take(300).collect();
        return Err(format!(
            "{} {}, not {status} {code}: {told}",
            answer.status,
            answer.code()
        ));
    }
    let text = answer.text.to_lowercase();
    match INSIDE.iter().find(|word| text.contains(*word)) {
        Some(word) => Err(format!("shows the inside ({word:?}): {}", answer.text)),
        None => Ok(()),
    }
}

/// The text with one character in the middle changed.
fn tampered(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}
