//! Secrets are nowhere but where they belong. Each is a canary: a text of its own that is planted, sent through everything the
//! shop does with it, right and wrong, and then searched for in all that left the process.

mod collector;
mod ledger;
mod programs;
mod requests;

use std::time::Duration;

use serde_json::json;
use stanchion::auth::key::KeyEncryptionKey;
use stanchion::config::ExposeSecret;
use stanchion::eventsourcing::SealingKey;
use tokio::time::sleep;

use crate::support::{READY_WITHIN, STOPPED_WITHIN, Shop, launch, operate};
use collector::Collector;
use ledger::Ledger;

/// A product at whose price the shop panics.
const POISON: &str = "PEN-BLACK";

/// Spans are exported once in five seconds at the latest, and all at the end.
const EXPORTED_WITHIN: Duration = Duration::from_secs(1);

/// In the log a path stands as it was asked for: `path` of the access line is made for it.
const IN_A_PATH: &str = "a path's segment";
/// What is no secret, but must not leave by logs and traces.
const NAME: &str = "a first name";
const KEY_OF_REQUEST: &str = "an idempotency key";

#[tokio::test]
async fn a_secret_is_found_nowhere_that_it_does_not_belong() {
    let mut ledger = Ledger::new();
    let traces = Collector::start("200 OK").await;
    let gateway = Collector::start("500 Internal Server Error").await;
    let settings = secret_settings(&mut ledger, &traces, &gateway);
    let borrowed: Vec<_> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut shop = Shop::start_with(&borrowed).await;
    let admin_token = value(&settings, "SHOP__ADMIN__TOKEN");
    let mut answers = requests::send_all(&shop, &mut ledger, &settings, POISON).await;
    sleep(EXPORTED_WITHIN).await;
    for path in [
        "/metrics",
        "/debug/policies",
        "/dead-letters",
        "/processes",
        "/projections",
        "/relays",
        "/console",
    ] {
        let bearer = format!("Bearer {admin_token}");
        let page = shop.fetch_admin(path).header("authorization", &bearer);
        answers.push((format!("admin {path}"), page.send().await.text));
    }
    let mut told = Vec::new();
    for arguments in [&["config"][..], &["routes"], &["log", "export", "identity"]] {
        let operated = shop.operate(arguments).await;
        told.push((arguments.join(" "), operated.out + &operated.err));
    }
    for module in ["inventory", "orders", "payments"] {
        let operated = shop.operate(&["log", "export", module]).await;
        told.push((format!("log export {module}"), operated.out));
    }
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();

    assert!(ledger.len() >= 80, "{} canaries", ledger.len());
    let logged = shop.process.stdout() + &shop.process.stderr();
    assert!(
        logged.contains("\"DEBUG\"") && logged.contains("panicked"),
        "it was not driven to debug lines and a panic"
    );
    assert!(!traces.taken().is_empty(), "nothing was traced");
    assert!(!gateway.taken().is_empty(), "the gateway was not asked");
    let without_paths: String = logged.lines().map(without_path).collect();
    let mut found = ledger.found_in("the log", without_paths.as_bytes(), &[]);
    // The access line is an event of its request's span.
    found.extend(ledger.found_in("a trace", &traces.taken(), &[IN_A_PATH]));
    for (what, text) in &answers {
        found.extend(ledger.found_in(what, text.as_bytes(), &[IN_A_PATH, KEY_OF_REQUEST]));
    }
    for (what, text) in &told {
        found.extend(ledger.found_in(what, text.as_bytes(), &[]));
    }
    // Whom a name belongs to is told to those who may ask; a request's key is what its answer is kept under.
    found.extend(ledger.found_below(&shop.data(), &[NAME, KEY_OF_REQUEST]));
    let to_gateway = ["the gateway's key", "a payment method"];
    found.extend(ledger.found_in("what the gateway was sent", &gateway.taken(), &to_gateway));
    assert!(
        found.is_empty(),
        "{} leaks:\n{}",
        found.len(),
        found.join("\n")
    );
}

/// Everything that a setting can keep secret.
fn secret_settings(
    ledger: &mut Ledger,
    traces: &Collector,
    gateway: &Collector,
) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    let mut set = |name: &str, value: String| settings.push((name.to_owned(), value));
    for (name, what) in [
        (
            "SHOP__IDENTITY__ADMIN_PASSWORD",
            "the administrator's password",
        ),
        ("SHOP__ADMIN__TOKEN", "the operator's token"),
        ("SHOP__PAYMENTS__GATEWAY_KEY", "the gateway's key"),
        ("SHOP__PAYMENTS__WEBHOOK_SECRET", "the webhooks' secret"),
    ] {
        set(name, ledger.plant(what));
    }
    let secret = ledger.plant("the server's secret");
    set("SHOP__SERVER__SECRET", format!("{secret}{secret}"));
    let sealing = KeyEncryptionKey::generate_text();
    ledger.watch("the key-encryption key", sealing.expose_secret());
    let master = SealingKey::generate_text();
    ledger.watch("the master key", master.expose_secret());
    set(
        "SHOP__IDENTITY__KEY_ENCRYPTION_KEY",
        sealing.expose_secret().to_owned(),
    );
    set(
        "SHOP__PERSONAL__MASTER_KEY",
        master.expose_secret().to_owned(),
    );
    // Nobody is there: what is said of it must not say how it is reached.
    let cache = ledger.plant("the cache's password");
    set("SHOP__CACHE__URL", format!("redis://:{cache}@127.0.0.1:9"));
    set(
        "SHOP__PAYMENTS__GATEWAY_URL",
        format!("http://{}", gateway.address),
    );
    set(
        "SHOP__TELEMETRY__OTLP_ENDPOINT",
        format!("http://{}", traces.address),
    );
    set("SHOP__TELEMETRY__LOG", "debug".to_owned());
    set("SHOP_PANIC_AT_PRICE_OF", POISON.to_owned());
    settings
}

fn value<'a>(settings: &'a [(String, String)], name: &str) -> &'a str {
    let (_, value) = settings.iter().find(|(known, _)| known == name).unwrap();
    value
}

/// A line of the log without the path that was asked for.
fn without_path(line: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(line) {
        Ok(mut line) => {
            if line["message"] == "request completed" {
                line["path"] = json!("");
            }
            format!("{line}\n")
        }
        Err(_) => format!("{line}\n"),
    }
}

#[tokio::test]
async fn a_shop_that_cannot_reach_what_it_needs_does_not_say_how_it_would() {
    let mut ledger = Ledger::new();
    let database = ledger.plant("the database's password");
    let broker = ledger.plant("the broker's password");
    let cache = ledger.plant("the cache's password");
    let traces = ledger.plant("the collector's password");
    let key = KeyEncryptionKey::generate_text();
    let master = SealingKey::generate_text();
    let secret = ledger.plant("the server's secret").repeat(2);
    let unreachable = [
        (
            "SHOP__DATABASE__URL",
            format!("postgres://shop:{database}@127.0.0.1:9/shop"),
        ),
        (
            "SHOP__BROKER__URL",
            format!("nats://shop:{broker}@127.0.0.1:9"),
        ),
        (
            "SHOP__CACHE__URL",
            format!("redis://shop:{cache}@127.0.0.1:9"),
        ),
        (
            "SHOP__TELEMETRY__OTLP_ENDPOINT",
            format!("http://shop:{traces}@127.0.0.1:9"),
        ),
        ("SHOP__TELEMETRY__LOG", "debug".to_owned()),
        ("SHOP__TELEMETRY__FORMAT", "json".to_owned()),
        ("SHOP__SERVER__LISTEN", "127.0.0.1:0".to_owned()),
        ("SHOP__ADMIN__LISTEN", "127.0.0.1:0".to_owned()),
        ("SHOP__SERVER__SECRET", secret),
        (
            "SHOP__IDENTITY__KEY_ENCRYPTION_KEY",
            key.expose_secret().to_owned(),
        ),
        (
            "SHOP__PERSONAL__MASTER_KEY",
            master.expose_secret().to_owned(),
        ),
    ];
    let borrowed: Vec<_> = unreachable
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let mut found = Vec::new();
    for arguments in [
        &["config"][..],
        &["migrate", "--check"],
        &["log", "verify"],
        &[],
    ] {
        let operated = operate(launch(&borrowed).folder(folder.path()), arguments).await;
        let said = operated.out + &operated.err;
        let what = format!("`shop {}`", arguments.join(" "));
        assert!(!said.is_empty(), "{what} says nothing");
        found.extend(ledger.found_in(&what, said.as_bytes(), &[]));
    }
    // The embedded one starts, and only the others cannot be reached.
    let embedded: Vec<_> = borrowed
        .iter()
        .filter(|(name, _)| *name != "SHOP__DATABASE__URL" && !name.ends_with("LISTEN"))
        .copied()
        .collect();
    let (mut shop, _) = Shop::spawn_with(&embedded).unwrap();
    let _ = shop.process.ready(READY_WITHIN).await;
    let ready = shop.fetch("/ready").send().await;
    sleep(Duration::from_secs(3)).await;
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();
    let said = shop.process.stdout() + &shop.process.stderr();
    found.extend(ledger.found_in("the log", said.as_bytes(), &[]));
    found.extend(ledger.found_in("/ready", ready.text.as_bytes(), &[]));
    // A value that is wrong is told as it is, but for what must not be told.
    let wrong = format!("postgrs//shop:{database}@127.0.0.1:9/shop ://x:{database}@y");
    let wrong = [
        ("SHOP__SERVER__LISTEN", wrong.as_str()),
        ("SHOP__CACHE__URL", "rdis://x:y@z"),
    ];
    let told = operate(launch(&wrong).folder(folder.path()), &["config"]).await;
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(
        found.is_empty(),
        "{} leaks:\n{}",
        found.len(),
        found.join("\n")
    );
}
