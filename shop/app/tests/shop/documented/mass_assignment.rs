//! Fields that nobody offered: each body of the document × each object in it × what an attacker would like to set.

use serde_json::{Value, json};

use super::{Operation, Scene, none_wrong, schema};

/// What would be worth setting, with a value that would hurt.
fn tempting() -> Vec<(&'static str, Value)> {
    vec![
        ("role", json!("admin")),
        ("roles", json!(["admin"])),
        ("permissions", json!(["admin:*"])),
        ("is_admin", json!(true)),
        ("tenant_id", json!("018f0000-0000-7000-8000-000000000000")),
        ("customer_id", json!("018f0000-0000-7000-8000-000000000000")),
        ("id", json!("018f0000-0000-7000-8000-000000000000")),
        ("version", json!(0)),
        ("status", json!("active")),
        ("price", json!({"amount": 1, "currency": "EUR"})),
        ("unit_price", json!({"amount": 1, "currency": "EUR"})),
        ("total", json!({"amount": 1, "currency": "EUR"})),
        ("balance", json!(1_000_000)),
        ("available", json!(1_000_000)),
        ("refunded", json!(0)),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("deleted_at", json!("2020-01-01T00:00:00Z")),
        ("password_hash", json!("$argon2id$")),
        ("email_verified", json!(true)),
        ("__proto__", json!({"admin": true})),
        ("constructor", json!({"admin": true})),
    ]
}

#[tokio::test]
async fn no_body_of_the_document_takes_a_field_that_its_schema_does_not_offer() {
    let scene = Scene::set().await;
    let before = scene.state().await;
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for operation in &scene.operations {
        // The gateway's events grow by its own rules; nothing of them is believed but what is signed.
        if operation.path.ends_with("/webhook") {
            continue;
        }
        for (what, kind, body) in spoilt(operation, &scene.document) {
            tried += 1;
            let path = scene.filled(operation);
            let ask = operation
                .ask(&scene.admin, &path)
                .header("content-type", &kind);
            let got = ask.body(body.to_string()).send().await;
            if got.status != 400 || got.code() != "UNKNOWN_FIELD" {
                wrong.push(format!(
                    "{} with {what}: {} {}",
                    operation.name(),
                    got.status,
                    got.text
                ));
            }
        }
    }
    none_wrong(&wrong);
    assert!(tried > 150, "{tried} bodies");
    assert_eq!(scene.state().await, before, "something has changed");
}

/// The operation's bodies, each with one field too many.
fn spoilt(operation: &Operation, document: &Value) -> Vec<(String, String, Value)> {
    let Some((kind, body)) = operation.body(document) else {
        return Vec::new();
    };
    let described = &operation.spec["requestBody"]["content"][&kind]["schema"];
    let mut objects = Vec::new();
    schema::objects(described, document, "", &mut objects);
    let mut spoilt = Vec::new();
    for (at, known) in objects {
        for (name, value) in tempting() {
            let mut body = body.clone();
            let Some(object) = body.pointer_mut(&at).filter(|object| object.is_object()) else {
                continue;
            };
            if known.iter().any(|known| known == name) {
                continue;
            }
            object[name] = value;
            spoilt.push((format!("{at}/{name}"), kind.clone(), body));
        }
    }
    spoilt
}
