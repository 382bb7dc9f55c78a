//! Who may do what: one table, asked of the running process.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Caller, Shop, item};

/// What `anyone`, a customer, staff and the administrator get.
struct Rule {
    method: Method,
    path: &'static str,
    body: Option<Value>,
    gets: [u16; 4],
}

fn rule(method: Method, path: &'static str, body: Option<Value>, gets: [u16; 4]) -> Rule {
    Rule {
        method,
        path,
        body,
        gets,
    }
}

/// `{ada}` is another customer, `{order}` and `{payment}` are hers, `{victim}` a user nobody needs.
fn rules() -> Vec<Rule> {
    let roles = || Some(json!({"roles": ["customer"]}));
    let status = || Some(json!({"status": "active"}));
    let stock = || Some(json!({"delta": 1, "reason": "delivery"}));
    let price = || Some(json!({"price": {"amount": 100, "currency": "EUR"}}));
    let refund = || Some(json!({"amount": 1}));
    vec![
        rule(Method::GET, "/products", None, [200, 200, 200, 200]),
        rule(Method::GET, "/products/KETTLE", None, [200, 200, 200, 200]),
        rule(Method::GET, "/users", None, [401, 403, 200, 200]),
        rule(Method::GET, "/users/me", None, [401, 200, 200, 200]),
        rule(Method::GET, "/users/{ada}", None, [401, 404, 200, 200]),
        rule(
            Method::PATCH,
            "/users/{ada}",
            Some(json!({"first_name": "A"})),
            [401, 404, 403, 200],
        ),
        rule(
            Method::PUT,
            "/users/{ada}/roles",
            roles(),
            [401, 403, 403, 200],
        ),
        rule(
            Method::PUT,
            "/users/{ada}/status",
            status(),
            [401, 403, 403, 200],
        ),
        rule(
            Method::DELETE,
            "/users/{victim}",
            None,
            [401, 404, 403, 204],
        ),
        rule(
            Method::POST,
            "/products/KETTLE/stock",
            stock(),
            [401, 403, 200, 200],
        ),
        rule(
            Method::PATCH,
            "/products/KETTLE",
            price(),
            [401, 403, 200, 200],
        ),
        rule(
            Method::DELETE,
            "/products/TEAPOT",
            None,
            [401, 403, 204, 404],
        ),
        rule(Method::GET, "/orders", None, [401, 200, 200, 200]),
        rule(Method::GET, "/orders/{order}", None, [401, 404, 200, 200]),
        rule(
            Method::GET,
            "/orders/{order}/history",
            None,
            [401, 404, 200, 200],
        ),
        rule(
            Method::GET,
            "/users/{ada}/orders",
            None,
            [401, 404, 200, 200],
        ),
        rule(
            Method::POST,
            "/users/{ada}/orders",
            Some(item("MUG-BLUE", 1)),
            [401, 404, 202, 202],
        ),
        rule(Method::GET, "/payments", None, [401, 200, 200, 200]),
        rule(
            Method::GET,
            "/payments/{payment}",
            None,
            [401, 404, 200, 200],
        ),
        rule(
            Method::POST,
            "/payments/{payment}/refunds",
            refund(),
            [401, 403, 201, 201],
        ),
        rule(
            Method::POST,
            "/orders/{order}/cancel",
            None,
            [401, 404, 200, 200],
        ),
        rule(Method::GET, "/auth/sessions", None, [401, 200, 200, 200]),
    ]
}

#[tokio::test]
async fn every_route_is_open_to_whom_it_says_and_to_nobody_else() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let order = ada.order(&item("MUG-BLUE", 2)).await;
    let victim = shop.customer("victim").await;
    let callers = [
        ("anyone", shop.anyone()),
        ("a customer", shop.customer("bob").await),
        ("staff", shop.staff("carol").await),
        ("the administrator", shop.admin().await),
    ];
    let mut wrong = Vec::new();
    for rule in rules() {
        let path = rule
            .path
            .replace("{ada}", &ada.id)
            .replace("{victim}", &victim.id)
            .replace("{order}", &order.text_at("/id"))
            .replace("{payment}", &order.text_at("/payment_id"));
        for ((who, caller), expected) in callers.iter().zip(rule.gets) {
            let got = ask(caller, &rule, &path).await;
            // A refund is accepted before the gateway has answered, or after: both are success.
            let as_good = expected == 201 && (got == 200 || got == 202);
            if got != expected && !as_good {
                wrong.push(format!(
                    "{who}: {} {}: {got}, not {expected}",
                    rule.method, rule.path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn another_customers_order_does_not_exist() {
    let shop = Shop::start().await;
    let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    let id = order.text_at("/id");
    let theirs = bob
        .get(&format!("/orders/{id}"))
        .send()
        .await
        .expect_error(404, "ORDER_NOT_FOUND");
    let nobodys = stanchion::runtime::id::new_v7();
    let none = bob
        .get(&format!("/orders/{nobodys}"))
        .send()
        .await
        .expect_error(404, "ORDER_NOT_FOUND");
    let plain = |text: &str, id: &str| text.replace(id, "ID");
    assert_eq!(
        plain(&theirs.json()["error"].to_string(), &id),
        plain(&none.json()["error"].to_string(), &nobodys.to_string()),
    );
    for end in ["cancel", "watch", "history"] {
        let path = format!("/orders/{id}/{end}");
        let method = if end == "cancel" {
            Method::POST
        } else {
            Method::GET
        };
        bob.ask(method, &path)
            .send()
            .await
            .expect_error(404, "ORDER_NOT_FOUND");
    }
    let list = bob
        .get(&format!("/payments?order_id={id}"))
        .send()
        .await
        .expect(200);
    assert_eq!(list.data(), json!([]));
}

#[tokio::test]
async fn a_role_counts_from_the_next_token_on() {
    let shop = Shop::start().await;
    let mut bob = shop.customer("bob").await;
    bob.get("/users")
        .send()
        .await
        .expect_error(403, "FORBIDDEN");
    let roles = json!({"roles": ["staff"]});
    shop.admin()
        .await
        .put(&format!("/users/{}/roles", bob.id))
        .json(&roles)
        .send()
        .await
        .expect(200);
    bob.log_in("bob", crate::support::PASSWORD).await;
    bob.get("/users").send().await.expect(200);
}

#[tokio::test]
async fn a_staff_member_orders_for_a_customer_whose_order_it_then_is() {
    let shop = Shop::start().await;
    let (staff, ada) = (shop.staff("carol").await, shop.customer("ada").await);
    let path = format!("/users/{}/orders", ada.id);
    let placed = staff
        .post(&path)
        .key("k")
        .wait(20)
        .json(&item("MUG-BLUE", 1))
        .send()
        .await
        .expect(200);
    assert_eq!(placed.text_at("/customer_id"), ada.id);
    assert_eq!(
        ada.see_order(&placed.text_at("/id"))
            .await
            .text_at("/status"),
        "confirmed"
    );
}

#[tokio::test]
async fn nothing_of_the_admin_port_is_on_the_public_one() {
    let shop = Shop::start().await;
    shop.fetch_admin("/metrics").send().await.expect(200);
    for path in [
        "/metrics",
        "/debug/pprof",
        "/admin",
        "/console",
        "/api/v1/metrics",
    ] {
        shop.fetch(path).send().await.expect(404);
    }
}

async fn ask(caller: &Caller, rule: &Rule, path: &str) -> u16 {
    let mut ask = match rule.method {
        Method::PATCH => caller.patch(path),
        _ => caller.ask(rule.method.clone(), path),
    };
    if rule.method == Method::POST {
        ask = ask.key(&stanchion::runtime::id::new_v7().to_string());
    }
    if let Some(body) = &rule.body {
        ask = ask.json(body);
    }
    ask.send().await.status
}
