//! Inventory in a process of its own: orders asks it for prices over the network.

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use stanchion::auth::key::KeyEncryptionKey;
use stanchion::eventsourcing::SealingKey;
use stanchion_testing::servers;

use crate::support::{STOPPED_WITHIN, Shop, eventually, item, launch, operate};

const SECRET: &str = "a secret that every process has: 32 bytes and more";
const REST: &str = "identity,orders,payments";

/// Both processes on one PostgreSQL database; `None`, said loudly, where no server can be had.
async fn split(more: &[(&str, &str)]) -> Option<(Shop, Shop)> {
    let url = servers::required("postgres")?;
    let (key, master) = (
        KeyEncryptionKey::generate_text(),
        SealingKey::generate_text(),
    );
    let shared = [
        ("SHOP__DATABASE__URL", url.as_str()),
        ("SHOP__SERVER__SECRET", SECRET),
        ("SHOP__AUTH__ISSUER", "https://shop.example"),
        ("SHOP__IDENTITY__KEY_ENCRYPTION_KEY", key.expose_secret()),
        ("SHOP__PERSONAL__MASTER_KEY", master.expose_secret()),
    ];
    operate(launch(&shared), &["migrate"]).await.expect(0);
    let inventory = Shop::start_modules("inventory", &shared).await;
    let endpoint = format!("http://{}", inventory.address);
    let own = [("SHOP__INVENTORY__ENDPOINT", endpoint.as_str())];
    let rest = Shop::start_modules(REST, &[&shared[..], &own[..], more].concat()).await;
    Some((inventory, rest))
}

/// A line of the process's log.
async fn logged(shop: &Shop, is_it: impl Fn(&Value) -> bool) -> Value {
    eventually("it is logged", STOPPED_WITHIN, || async {
        let text = format!("{}{}", shop.process.stdout(), shop.process.stderr());
        let mut lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.find(|line| is_it(line))
    })
    .await
}

#[tokio::test]
async fn an_order_is_priced_by_inventory_in_another_process_which_knows_who_asks() {
    let Some((inventory, rest)) = split(&[]).await else {
        return;
    };
    let admin = rest.admin().await;
    let mut keeper = inventory.anyone();
    keeper.token = admin.token.clone();
    keeper.stock_product("BEANS", 1250, 10).await;
    let ada = rest.customer("ada").await;
    rest.anyone().get("/products").send().await.expect(404);

    let order = ada.order(&item("BEANS", 2)).await;
    assert_eq!(
        order.text_at("/status"),
        "confirmed",
        "the logs carried the rest"
    );
    assert_eq!(
        order.data()["total"],
        json!({"amount": 2_500, "currency": "EUR"})
    );
    assert_eq!(keeper.stock("BEANS").await, 8);

    let placed = logged(&rest, |line| line["endpoint"] == "/api/v1/orders").await;
    // Readiness asks for prices as well: this is the call of that very request.
    let asked = |line: &Value| {
        let called = line["endpoint"] == "/inventory.v1.InventoryService/BatchGetProducts";
        called && line["request_id"] == placed["request_id"]
    };
    let asked = logged(&inventory, asked).await;
    assert_eq!(asked["principal"], "svc:orders", "{asked}");
    assert_eq!(asked["trace_id"], placed["trace_id"]);

    let unknown = ada
        .post("/orders")
        .key("k")
        .json(&item("NOTHING", 1))
        .send()
        .await;
    unknown.expect_error(422, "VALIDATION_FAILED");
}

#[tokio::test]
async fn without_inventory_there_is_503_and_no_order_and_with_it_there_are_orders_again() {
    let quick = [
        ("SHOP__INVENTORY__CLIENT__POLICY__BREAKER__OPEN", "500ms"),
        ("SHOP__INVENTORY__CLIENT__CONNECT_TIMEOUT", "300ms"),
    ];
    let Some((mut inventory, rest)) = split(&quick).await else {
        return;
    };
    let admin = rest.admin().await;
    let mut keeper = inventory.anyone();
    keeper.token = admin.token.clone();
    keeper.stock_product("BEANS", 1250, 10).await;
    let ada = rest.customer("ada").await;
    let placed = ada.place(&item("BEANS", 1)).await;
    let token = &placed.meta()["consistency_token"];
    let token = token.as_str().unwrap().to_owned();

    inventory.process.terminate(STOPPED_WITHIN).await.unwrap();
    for nth in 0..5 {
        let key = format!("out-{nth}");
        let refused = ada
            .post("/orders")
            .key(&key)
            .json(&item("BEANS", 1))
            .send()
            .await;
        let refused = refused.expect_error(503, "UNAVAILABLE");
        assert!(refused.header("retry-after").is_some());
    }
    let orders = ada.get("/orders").header("consistency-token", &token);
    let orders = orders.send().await.expect(200);
    assert_eq!(orders.meta()["total"], 1, "{}", orders.text);
    rest.fetch("/ready").send().await.expect(200);

    inventory.restart().await;
    eventually("orders are taken again", STOPPED_WITHIN, || async {
        let key = stanchion::runtime::id::new_v7().to_string();
        let placed = ada
            .post("/orders")
            .key(&key)
            .json(&item("BEANS", 1))
            .send()
            .await;
        (placed.status == 202).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_part_of_the_shop_that_cannot_work_does_not_start() {
    let alone = operate(launch(&[]), &["--modules", "orders"]).await;
    alone.expect(2).says(&["PostgreSQL", "--modules"]);
    let Some(url) = servers::required("postgres") else {
        return;
    };
    let settings = [("SHOP__DATABASE__URL", url.as_str())];
    let asking = operate(
        launch(&settings),
        &["--modules", "identity,orders,payments"],
    )
    .await;
    asking.expect(2).says(&["SHOP__INVENTORY__ENDPOINT"]);
    let workers = operate(launch(&settings), &["--role", "worker"]).await;
    workers.expect(2).says(&["--role"]);
}
