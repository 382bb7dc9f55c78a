//! What an operator does from the command line, with the real binary, beside a shop that runs.

mod dead_letters;
mod keys;
mod processes;
mod projections;
mod redrive;
mod schema;
mod subjects;

use serde_json::Value;

use crate::support::{Operated, STOPPED_WITHIN, Shop, eventually, item, launch, operate};

/// Nobody is looked at while it stops.
const AT_ONCE: (&str, &str) = ("SHOP__SERVER__LAME_DUCK", "0s");

#[tokio::test]
async fn the_help_names_every_command() {
    let help = operate(launch(&[]), &["--help"]).await.expect(0);
    let commands = [
        "routes",
        "log",
        "dead-letters",
        "redrive",
        "processes",
        "projections",
        "subjects",
        "keys",
        "config",
        "migrate",
        "sandbox",
        "--modules",
        "--role",
        "--config",
        "--no-demo",
    ];
    help.says(&commands);
    for command in [
        "log",
        "dead-letters",
        "redrive",
        "processes",
        "projections",
        "subjects",
        "keys",
        "config",
        "migrate",
        "sandbox",
    ] {
        operate(launch(&[]), &[command, "--help"])
            .await
            .expect(0)
            .says(&["Usage: shop", command]);
    }
    for wrong in [
        &["no-such-command"][..],
        &["log"],
        &["log", "show"],
        &["log", "show", "orders", "--limit", "many"],
        &["dead-letters"],
        &["dead-letters", "show"],
        &["dead-letters", "show", "not-an-id"],
        &["redrive", "everything"],
        &["processes"],
        &["processes", "restart", "1"],
        &["projections", "pause"],
        &["projections", "explode", "products"],
        &["subjects"],
        &["subjects", "shred"],
        &["migrate", "--down", "-1"],
        &["migrate", "--check", "--down", "1"],
        &["sandbox", "--listen", "nowhere"],
        &["routes", "--modules", "warehouse"],
        &["config", "--config", "no-such-file.toml"],
    ] {
        let told = operate(launch(&[]), wrong).await.expect(2);
        assert_eq!(told.out, "", "{wrong:?}: what went wrong is no output");
        assert_ne!(told.err, "", "{wrong:?}");
    }
}

#[tokio::test]
async fn routes_are_listed_with_permissions_and_workers_a_module_at_a_time() {
    let all = operate(launch(&[]), &["routes"]).await.expect(0);
    let words = [
        "POST   /api/v1/orders ",
        "user:read",
        "worker orders/fulfilment",
        "worker payments/gateway",
        "worker inventory/stockkeeper",
    ];
    let all = all.says(&words);
    assert_eq!(all.err, "", "no noise beside it");
    let payments = operate(launch(&[]), &["routes", "--modules", "payments"]).await;
    let payments = payments
        .expect(0)
        .says(&["/api/v1/payments", "worker payments/ledger"]);
    assert!(!payments.out.contains("/api/v1/orders"), "{}", payments.out);
    assert!(payments.out.lines().count() < all.out.lines().count());
}

#[tokio::test]
async fn the_default_configuration_is_a_file_that_says_what_is_so_anyway() {
    let folder = tempfile::tempdir().unwrap();
    let launch = launch(&[]).folder(folder.path());
    let before = operate(launch.clone(), &["config"]).await.expect(0);
    let default = operate(launch.clone(), &["config", "--default"])
        .await
        .expect(0);
    std::fs::write(folder.path().join("shop.toml"), &default.out).unwrap();
    let after = operate(launch.clone(), &["config"]).await.expect(0);
    let values = |text: &str| -> Vec<String> {
        let value = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
        text.lines().map(value).collect()
    };
    assert_eq!(values(&after.out), values(&before.out));

    std::fs::write(
        folder.path().join("shop.toml"),
        "[server]\nlistne = 1\ndrain = \"soon\"\n",
    )
    .unwrap();
    let wrong = operate(launch, &["config"]).await.expect(2);
    wrong.says(&["shop.toml", "listne", "drain"]);
}

#[tokio::test]
async fn the_logs_are_told_of_a_running_shop() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let order = ada.order(&item("MUG-BLUE", 1)).await.text_at("/id");

    let status = shop.operate(&["log", "status"]).await.expect(0);
    let modules: Vec<&str> = status.out.split_whitespace().step_by(5).collect();
    assert_eq!(
        modules,
        ["identity", "inventory", "orders", "payments"],
        "{}",
        status.out
    );

    let stream = entries(
        &shop,
        &["orders", "--category", "order", "--stream", &order],
    )
    .await;
    let kinds: Vec<_> = stream
        .iter()
        .map(|entry| entry["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["order_placed", "order_confirmed"]);
    let first = stream[0]["position"].to_string();

    let all = entries(&shop, &["orders"]).await;
    let page = entries(&shop, &["orders", "--limit", "2"]).await;
    assert_eq!(page, all[..2]);
    let rest = entries(&shop, &["orders", "--after", &first]).await;
    assert_eq!(
        rest[0]["position"],
        stream[0]["position"].as_i64().unwrap() + 1
    );
    assert!(
        entries(&shop, &["orders", "--category", "nothing"])
            .await
            .is_empty()
    );

    let wrong = shop.operate(&["log", "show", "order"]).await.expect(2);
    wrong.says(&["`order`", "identity, inventory, orders, payments"]);
    let chosen = shop
        .operate(&["log", "status", "--modules", "orders"])
        .await;
    assert_eq!(chosen.expect(0).out.lines().count(), 1);
}

#[tokio::test]
async fn the_logs_are_told_of_a_stopped_shop_and_not_of_one_that_never_was() {
    let mut shop = Shop::start_with(&[AT_ONCE]).await;
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();
    assert!(!entries(&shop, &["inventory"]).await.is_empty());

    let folder = tempfile::tempdir().unwrap();
    let never = launch(&[]).folder(folder.path());
    for command in [
        &["log", "status"][..],
        &["dead-letters", "list"],
        &["redrive"],
        &["projections"],
        &["subjects", "reseal"],
    ] {
        let told = operate(never.clone(), command).await.expect(1);
        told.says(&["there is no store of identity in data yet"]);
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "a look leaves nothing behind"
    );
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_no_empty_log() {
    let nobody = format!(
        "127.0.0.1:{}",
        stanchion_testing::process::free_port().unwrap()
    );
    let url = format!("postgres://shop:s3cret@{nobody}/shop");
    let told = operate(launch(&[("SHOP__DATABASE__URL", &url)]), &["log", "status"]).await;
    let told = told.expect(1).says(&["the store of identity", &nobody]);
    assert!(!told.err.contains("s3cret"), "{}", told.err);
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_a_clean_end() {
    let mut shop = Shop::start_with(&[AT_ONCE]).await;
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();
    let line = format!(
        "{{ {} log show inventory; echo \"ended with $?\" >&2; }} | true",
        env!("CARGO_BIN_EXE_shop")
    );
    let piped = std::process::Command::new("sh")
        .args(["-c", &line])
        .current_dir(shop.folder())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&piped.stderr), "ended with 0\n");
}

#[tokio::test]
async fn the_gateway_runs_alone_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let port = stanchion_testing::process::free_port().unwrap();
    let settings = [("SHOP__PAYMENTS__GATEWAY_KEY", "sk_test_of_mine")];
    let launch = launch(&settings).folder(folder.path()).arg("sandbox");
    let mut sandbox = launch
        .arg("--listen")
        .arg(format!("127.0.0.1:{port}"))
        .spawn()
        .unwrap();
    eventually("it tells where it is", STOPPED_WITHIN, || async {
        sandbox
            .stdout()
            .contains(&format!("http://127.0.0.1:{port}    key sk_test_of_mine"))
            .then_some(())
    })
    .await;
    assert_eq!(
        sandbox.terminate(STOPPED_WITHIN).await.unwrap().code(),
        Some(0)
    );
}

/// What `shop log show` prints, line by line.
async fn entries(shop: &Shop, arguments: &[&str]) -> Vec<Value> {
    let show: Vec<&str> = ["log", "show"].iter().chain(arguments).copied().collect();
    let Operated { out, .. } = shop.operate(&show).await.expect(0);
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
