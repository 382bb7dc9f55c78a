//! `shop policy`, and a shop that runs by another policy file.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::{Answer, Caller, Operated, Shop, item, launch, operate};

/// Customers see their own orders, as by the shipped policies; nobody else sees anything.
const OWN: &str = r#"
@id("own orders")
permit (principal is User, action, resource is Order) when { resource.owner == principal };

@id("own list")
permit (principal is User, action, resource is OrderList) when { resource.owner == principal };
"#;

/// An order of 100 euros and more can be seen by nobody.
const STRICT: &str = r#"
@id("large ones are secret")
forbid (principal, action == Action::"order:read", resource is Order) when { resource.total >= 10000 };
"#;

/// What a role may not see, its holder's key does not either.
const DISCREET: &str = r#"
@id("customers see no large ones")
forbid (principal in Role::"customer", action == Action::"order:read", resource is Order) when { resource.total >= 10000 };
"#;

/// A policy file, as long as it is kept.
fn file(policies: &str) -> (NamedTempFile, String) {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), policies).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (file, path)
}

/// A shop where large orders are forbidden so, and a customer with a small and a large one.
struct Guarded {
    shop: Shop,
    ada: Caller,
    small: Answer,
    large: Answer,
    _file: NamedTempFile,
}

impl Guarded {
    async fn by(forbidden: &str) -> Self {
        let (file, path) = file(&[OWN, forbidden].concat());
        let shop = Shop::start_with(&[("SHOP__POLICY__FILE", &path)]).await;
        let ada = shop.customer("ada").await;
        // Two mugs are cheap, eight are not.
        Self {
            small: ada.order(&item("MUG-BLUE", 2)).await,
            large: ada.order(&item("MUG-BLUE", 8)).await,
            shop,
            ada,
            _file: file,
        }
    }

    /// Whoever that is sees the small one and not the large one.
    async fn shows_only_the_small_one_to(&self, who: &Caller) {
        let path = format!("/orders/{}", self.small.text_at("/id"));
        who.get(&path).send().await.expect(200);
        self.hides_the_large_one_from(who).await;
    }

    async fn hides_the_large_one_from(&self, who: &Caller) {
        let path = format!("/orders/{}", self.large.text_at("/id"));
        let refused = who.get(&path).send().await;
        refused.expect_error(404, "ORDER_NOT_FOUND");
    }
}

/// `shop policy …` beside that shop.
async fn policy(shop: &Shop, arguments: &[&str]) -> Operated {
    shop.operate(&[&["policy"], arguments].concat()).await
}

#[tokio::test]
async fn explain_tells_the_decision_and_what_decided() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    shop.customer("bob").await;
    shop.staff("carol").await;
    let order = format!(
        "Order/{}",
        ada.order(&item("MUG-BLUE", 2)).await.text_at("/id")
    );
    let explain = async |who: &str, action: &str, resource: &str| {
        policy(&shop, &["explain", "--as", who, action, resource]).await
    };
    let own = explain("ada", "order:read", &order).await.expect(0);
    own.says(&["allowed", "permitted by \"own orders\" (shipped.cedar:"]);
    let strangers = explain("bob@example.com", "order:write", &order)
        .await
        .expect(0);
    strangers.says(&[
        "(roles: customer)",
        "denied",
        "lacks the permission order:write",
        "not permitted by \"own orders\"",
        "resource.owner == principal does not hold",
        "order:write is held by the roles admin, staff",
    ]);
    let staff = explain("carol", "order:read", &order).await.expect(0);
    staff.says(&[
        "allowed",
        "holds the permission order:read, as *:read",
        "by the role staff",
    ]);
    let service = explain("svc:reports/ada", "order:read", &order)
        .await
        .expect(0);
    service.says(&["allowed", "\"orders for their owner\""]);
    explain(
        "role:customer",
        "payment:read",
        "Payment/018f0000-0000-7000-8000-000000000000",
    )
    .await
    .expect(1)
    .says(&["there is no Payment/018f"]);
    explain("nobody", "order:read", &order)
        .await
        .expect(1)
        .says(&["there is no user \"nobody\""]);
    explain("ada", "order:burn", &order)
        .await
        .expect(1)
        .says(&["order:read, order:write"]);
}

/// A client that acts for itself, and one that acts for users: their ids.
async fn robot_and_app(shop: &Shop) -> (String, String) {
    let client = async |plan: &Value| {
        let made = shop.ask_admin(Method::POST, "/clients").json(plan);
        let made = made.send().await.expect(201).json();
        made["client_id"].as_str().unwrap().to_owned()
    };
    let robot = json!({
        "name": "Robot", "kind": "confidential", "grants": ["client_credentials"], "scopes": ["order:read"],
    });
    let app = json!({
        "name": "App", "kind": "public", "grants": ["authorization_code"], "redirect_uris": ["https://app.example/done"],
        "scopes": ["shop", "order:write"],
    });
    (client(&robot).await, client(&app).await)
}

#[tokio::test]
async fn explain_knows_clients_for_themselves_and_for_users() {
    let shop = Shop::start().await;
    let (ada, _) = (shop.customer("ada").await, shop.customer("bob").await);
    let order = format!(
        "Order/{}",
        ada.order(&item("MUG-BLUE", 2)).await.text_at("/id")
    );
    let (robot, app) = robot_and_app(&shop).await;
    for (who, action, said) in [
        (
            format!("client:{robot}"),
            "order:read",
            "allowed\n  holds the permission order:read",
        ),
        (
            format!("client:{robot}"),
            "order:write",
            "denied\n  lacks the permission order:write",
        ),
        (
            format!("client:{robot}"),
            "order:read",
            "order:read is by its scopes",
        ),
        (
            format!("client:{app}/ada"),
            "order:write",
            "(roles: none) order:write",
        ),
        (
            format!("client:{app}/ada"),
            "order:read",
            "permitted by \"own orders\"",
        ),
        (
            format!("client:{app}/bob"),
            "order:write",
            "denied\n  lacks the permission order:write",
        ),
    ] {
        let told = policy(&shop, &["explain", "--as", &who, action, &order]).await;
        told.expect(0).says(&[said]);
    }
    let nobody = "client:018f0000-0000-7000-8000-000000000000";
    let told = policy(&shop, &["explain", "--as", nobody, "order:read", &order]).await;
    told.expect(1).says(&["there is no client"]);
    let path = format!("/clients/{robot}/disable");
    shop.ask_admin(Method::POST, &path).send().await.expect(200);
    let robot = format!("client:{robot}");
    let told = policy(&shop, &["explain", "--as", &robot, "order:read", &order]).await;
    told.expect(1).says(&["is disabled"]);
}

#[tokio::test]
async fn a_key_of_ones_own_escapes_no_prohibition_of_ones_role() {
    let guarded = Guarded::by(DISCREET).await;
    let ada = &guarded.ada;
    let made = ada.post("/auth/api-keys").json(&json!({"name": "a key"}));
    let mut key = guarded.shop.anyone();
    key.token = made.send().await.expect(201).text_at("/key");
    for who in [ada, &key] {
        guarded.shows_only_the_small_one_to(who).await;
    }
}

/// What a role is let see, its holder's key is not, for its scopes do not say so.
const OPEN: &str = r#"
@id("own orders")
permit (principal is User, action, resource is Order) when { resource.owner == principal };

@id("own list")
permit (principal is User, action, resource is OrderList) when { resource.owner == principal };

@id("customers see all of them")
permit (principal in Role::"customer", action == Action::"order:read", resource is Order);
"#;

#[tokio::test]
async fn a_key_of_ones_own_gets_nothing_by_ones_role() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), OPEN).unwrap();
    let path = file.path().to_str().unwrap();
    let shop = Shop::start_with(&[("SHOP__POLICY__FILE", path)]).await;
    let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
    let see = |order: &crate::support::Answer| format!("/orders/{}", order.text_at("/id"));
    let own = see(&ada.order(&item("MUG-BLUE", 2)).await);
    let others = see(&bob.order(&item("MUG-BLUE", 2)).await);
    let made = ada.post("/auth/api-keys").json(&json!({"name": "a key"}));
    let mut key = shop.anyone();
    key.token = made.send().await.expect(201).text_at("/key");
    ada.get(&others).send().await.expect(200);
    key.get(&own).send().await.expect(200);
    let refused = key.get(&others).send().await;
    refused.expect_error(404, "ORDER_NOT_FOUND");
}

#[tokio::test]
async fn explain_answers_for_an_object_that_is_only_described() {
    let (_file, path) = file(&[OWN, STRICT].concat());
    let owner = "018f0000-0000-7000-8000-000000000000";
    let given = ["status=pending", "total=10000", "currency=EUR"];
    let mut arguments = vec!["policy", "explain", "--file", &path, "--as", "role:admin"];
    let owner = format!("owner={owner}");
    for attribute in given.iter().copied().chain([owner.as_str()]) {
        arguments.extend(["--with", attribute]);
    }
    arguments.extend(["order:read", "Order"]);
    let told = operate(launch(&[]), &arguments).await.expect(0);
    told.says(&["denied", "forbidden by \"large ones are secret\""]);
}

#[tokio::test]
async fn check_lists_all_that_is_wrong_with_a_file() {
    let wrong = "@id(\"a\") permit (principal, action == Action::\"order:burn\", resource);\n\
                 @id(\"b\") permit (principal in Role::\"boss\", action, resource is Order)\n\
                 when { resource.owner == 1 };";
    let (_file, path) = file(wrong);
    let told = operate(launch(&[]), &["policy", "check", &path])
        .await
        .expect(1);
    told.says(&[
        ":1:39: no policy is asked about the action",
        ":2:31: there is no role \"boss\"; there are admin, customer, staff",
    ]);
    // Nothing starts by a faulty file.
    let settings = launch(&[("SHOP__POLICY__FILE", &path)]);
    let refused = operate(settings, &["routes"]).await.expect(2);
    refused.says(&[":1:39: no policy is asked about the action"]);
    fs::write(&path, [OWN, STRICT].concat()).unwrap();
    let right = operate(launch(&[]), &["policy", "check", &path])
        .await
        .expect(0);
    right.says(&["3 policies, nothing wrong"]);
}

#[tokio::test]
async fn another_file_replaces_the_shipped_policies() {
    let guarded = Guarded::by(STRICT).await;
    let Guarded { shop, ada, .. } = &guarded;
    guarded.shows_only_the_small_one_to(ada).await;
    guarded.hides_the_large_one_from(&shop.admin().await).await;
    // It says nothing of payments: only those with the permission see any.
    let payment = format!("/payments/{}", guarded.small.text_at("/payment_id"));
    let refused = ada.get(&payment).send().await;
    refused.expect_error(404, "PAYMENT_NOT_FOUND");
    let carol = shop.staff("carol").await;
    carol.get(&payment).send().await.expect(200);
}

#[tokio::test]
async fn the_shipped_policies_can_be_printed_and_begun_with() {
    let shipped = operate(launch(&[]), &["policy", "shipped"])
        .await
        .expect(0)
        .out;
    let (_file, path) = file(&shipped);
    operate(launch(&[]), &["policy", "check", &path])
        .await
        .expect(0);
    let listed = operate(launch(&[]), &["policy", "list"]).await.expect(0);
    listed.says(&[
        "permit \"own orders\" (shipped.cedar:",
        "action order:read on Order: currency (text), owner (a User), status (text), total (a number)",
    ]);
}
