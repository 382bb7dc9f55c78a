//! What grows: the settings that end it are read, and its size is shown.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{READY_WITHIN, Shop, eventually, launch, operate};

/// Each setting with a value of its own, and as `shop config` tells it.
const SETTINGS: [(&str, &str, &str); 10] = [
    (
        "SHOP__RETENTION__IDEMPOTENCY_KEYS",
        "48h",
        "retention.idempotency_keys",
    ),
    ("SHOP__RETENTION__MESSAGES", "3650d", "retention.messages"),
    (
        "SHOP__RETENTION__DEAD_LETTERS",
        "90d",
        "retention.dead_letters",
    ),
    (
        "SHOP__RETENTION__ENDED_SESSIONS",
        "14d",
        "retention.ended_sessions",
    ),
    (
        "SHOP__IDENTITY__SESSION_IDLE",
        "3d",
        "identity.session_idle",
    ),
    (
        "SHOP__IDENTITY__SESSION_LIFE",
        "21d",
        "identity.session_life",
    ),
    (
        "SHOP__CONSUMERS__ATTEMPTS_MAX",
        "7",
        "consumers.attempts_max",
    ),
    (
        "SHOP__CONSUMERS__BACKOFF_MAX",
        "5s",
        "consumers.backoff_max",
    ),
    ("SHOP__BROKER__RELAY_LEASE", "7s", "broker.relay_lease"),
    ("SHOP__BROKER__NATS__MAX_AGE", "96h", "broker.nats.max_age"),
];

#[tokio::test]
async fn every_setting_of_what_is_kept_is_read() {
    let given = SETTINGS.map(|(name, value, _)| (name, value));
    let told = operate(launch(&given), &["config"]).await.expect(0);
    let defaults = operate(launch(&[]), &["config"]).await.expect(0);
    for (name, _, key) in SETTINGS {
        let of = |text: &str| {
            let mut lines = text.lines().map(str::to_owned);
            let line = lines.find(|line| line.contains(key));
            line.unwrap_or_else(|| panic!("no {key} in\n{text}"))
        };
        let line = of(&told.out);
        assert!(line.contains(name), "not from {name}: {line}");
        assert_ne!(line, of(&defaults.out));
    }
}

#[tokio::test]
async fn what_would_forget_too_early_is_refused() {
    for (name, value) in [
        ("SHOP__RETENTION__IDEMPOTENCY_KEYS", "1h"),
        ("SHOP__RETENTION__MESSAGES", "6d"),
        ("SHOP__RETENTION__DEAD_LETTERS", "10m"),
        ("SHOP__RETENTION__MESSAGES", "2y"),
    ] {
        let told = operate(launch(&[(name, value)]), &["config"]).await;
        told.expect(2).says(&["retention."]);
    }
}

/// Where tables are made.
const SCHEMAS: [&str; 5] = [
    "crates/stanchion-sql/src/log/schema",
    "shop/identity/migrations",
    "shop/inventory/migrations",
    "shop/orders/migrations",
    "shop/payments/migrations",
];

#[test]
fn every_table_has_its_place_on_the_page_of_what_grows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/guide/retention.md")).unwrap();
    let mut tables = BTreeSet::new();
    for schema in SCHEMAS {
        for file in root.join(schema).read_dir().unwrap() {
            let path = file.unwrap().path();
            if path.to_string_lossy().ends_with(".up.sql") {
                let sql = std::fs::read_to_string(path).unwrap();
                let made = sql.split("create table ").skip(1);
                tables.extend(made.filter_map(|text| Some(text.split_once(" (")?.0.to_owned())));
            }
        }
    }
    assert!(tables.len() > 25, "{tables:?}");
    let told = |table: &&String| page.contains(&format!("`{table}`"));
    let missing: Vec<_> = tables.iter().filter(|table| !told(table)).collect();
    assert!(missing.is_empty(), "nothing is said of {missing:?}");
}

#[tokio::test]
async fn the_rows_of_what_grows_are_counted() {
    let shop = Shop::start().await;
    for (module, table) in [
        ("orders", "inbox"),
        ("inventory", "parked"),
        ("payments", "timer"),
        ("identity", "sessions"),
    ] {
        let metric = format!("shop_rows{{module=\"{module}\",table=\"{table}\"}}");
        eventually(&metric, READY_WITHIN, || async {
            let metrics = shop.fetch_admin("/metrics").send().await.expect(200);
            metrics.text.contains(&metric).then_some(())
        })
        .await;
    }
}
