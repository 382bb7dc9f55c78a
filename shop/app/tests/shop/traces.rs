//! One order is one trace, from the request to the gateway, whatever log and broker lie between.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use stanchion_testing::process::{Launch, ServiceProcess};

use crate::support::{STOPPED_WITHIN, Shop, eventually, item};

const STARTED_WITHIN: Duration = Duration::from_secs(20);

const PACKAGE: &str = "opentelemetry-proto>=1.30,<2";

/// What a caller sends, as W3C wants it.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

#[tokio::test]
async fn one_trace_leads_from_the_request_through_log_relay_and_consumer_to_the_gateway() {
    let Some(mut receiver) = Receiver::start().await else {
        return;
    };
    let endpoint = format!("http://127.0.0.1:{}", receiver.port);
    let mut shop = Shop::start_with(&[("SHOP__TELEMETRY__OTLP_ENDPOINT", &endpoint)]).await;
    let ada = shop.customer("ada").await;
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let ask = ada
        .post("/orders")
        .key("k")
        .wait(20)
        .header("traceparent", &traceparent);
    let order = ask.json(&item("MUG-BLUE", 1)).send().await.expect(200);
    assert_eq!(order.text_at("/status"), "confirmed");
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();

    let all = receiver.spans();
    let spans: Vec<_> = all.iter().filter(|span| span["trace"] == TRACE).collect();
    let told = outline(&spans);
    for (what, kind, part) in [
        ("the request", "server", "POST /api/v1/orders"),
        ("the decision", "internal", "decide"),
        ("the append", "internal", "append"),
        ("the relay", "producer", "relay"),
        ("the consumer", "consumer", "consume"),
        ("the gateway call", "client", "gateway"),
    ] {
        let found = spans
            .iter()
            .any(|span| span["kind"] == kind && span["name"].as_str().unwrap().contains(part));
        assert!(found, "{what} is not in the trace:\n{told}");
    }
    let ids: HashSet<_> = spans
        .iter()
        .map(|span| span["id"].as_str().unwrap())
        .collect();
    for span in &spans {
        let parent = span["parent"].as_str().unwrap();
        assert!(
            parent == CALLER || ids.contains(parent),
            "{} hangs in the air:\n{told}",
            span["name"]
        );
    }
    for secret in ["ada@example.com", "pm_card", "password", &ada.token] {
        assert!(
            !all.iter().any(|span| span.to_string().contains(secret)),
            "{secret} is in a span"
        );
    }
    let logged = shop.process.stdout() + &shop.process.stderr();
    assert!(logged.contains(TRACE), "the trace is not in the log");
    receiver.process.kill().unwrap();
}

struct Receiver {
    process: ServiceProcess,
    port: u64,
}

impl Receiver {
    async fn start() -> Option<Self> {
        let python = stanchion_testing::python::with("otlp", &[PACKAGE])?;
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shop/traces/otlp_receiver.py");
        let process = Launch::new(python).arg(script).spawn().unwrap();
        let port = eventually("the receiver tells its port", STARTED_WITHIN, || async {
            let first = process.stdout().lines().next().map(str::to_owned)?;
            serde_json::from_str::<Value>(&first).ok()?["port"].as_u64()
        })
        .await;
        Some(Self { process, port })
    }

    fn spans(&self) -> Vec<Value> {
        let text = self.process.stdout();
        text.lines()
            .skip(1)
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// The trace as an indented tree.
fn outline(spans: &[&Value]) -> String {
    let mut children: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for span in spans {
        children
            .entry(span["parent"].as_str().unwrap())
            .or_default()
            .push(span);
    }
    let ids: HashSet<_> = spans
        .iter()
        .map(|span| span["id"].as_str().unwrap())
        .collect();
    let roots = spans
        .iter()
        .filter(|span| !ids.contains(span["parent"].as_str().unwrap()));
    let mut text = String::new();
    let mut waiting: Vec<(usize, &Value)> = roots.map(|span| (0, *span)).collect();
    while let Some((depth, span)) = waiting.pop() {
        text.push_str(&format!(
            "{}{} [{}]\n",
            "  ".repeat(depth),
            span["name"],
            span["kind"]
        ));
        let below = children
            .remove(span["id"].as_str().unwrap())
            .unwrap_or_default();
        waiting.extend(below.into_iter().map(|span| (depth + 1, span)));
    }
    text
}
