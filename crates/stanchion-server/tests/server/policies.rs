//! What guards the calls to dependencies, as an operator sees and sets it.

use std::ffi::OsString;
use std::net::SocketAddr;

use serde_json::Value;
use stanchion_resilience::breaker::State;
use stanchion_resilience::policy::{EveryError, Policy, PolicySettings};
use stanchion_resilience::retry::Terms;
use stanchion_resilience::{Dice, Failure, Refusal};
use stanchion_server::{AdminSettings, Module, Running, Service, ServiceCli, Stopped};
use stanchion_telemetry::Metrics;

use super::shop::service;
use super::sockets::{Line, ask};

fn admin(listen: SocketAddr) -> AdminSettings {
    AdminSettings {
        listen,
        ..AdminSettings::default()
    }
}

async fn start(bank: &Policy, metrics: &Metrics) -> (Running, SocketAddr) {
    let without = PolicySettings {
        breaker_on: false,
        adaptive_on: true,
        rate_on: true,
        throttle_on: true,
        ..PolicySettings::default()
    };
    let payments = Module::new("payments")
        .policy(bank.clone())
        .policy(Policy::new("ledger", &without));
    let running = service()
        .metrics(metrics.clone())
        .mount(payments)
        .admin(admin("127.0.0.1:0".parse().unwrap()))
        .start()
        .await
        .unwrap();
    let address = running.addresses().admin.unwrap();
    (running, address)
}

async fn called(policy: &Policy) -> Result<u8, Option<Refusal>> {
    let answer = policy
        .call(Terms::read(), &EveryError, |_| async { Ok::<_, String>(7) })
        .await;
    answer.map_err(|gave_up| match gave_up.last {
        Failure::Refused(refusal) => Some(refusal),
        _ => None,
    })
}

#[tokio::test]
async fn an_operator_sees_policies_and_forces_and_resets_a_breaker() {
    let metrics = Metrics::default();
    let bank = Policy::with(
        "bank",
        &PolicySettings::default(),
        &metrics,
        &Dice::system(),
    );
    let (_running, address) = start(&bank, &metrics).await;
    let (status, shown) = ask(address, "GET /debug/policies").await;
    assert_eq!(status, 200);
    let policies = shown["data"]["policies"].as_array().unwrap();
    let of = |name: &str| -> &Value {
        let named = policies.iter().find(|policy| policy["dependency"] == name);
        named.unwrap_or_else(|| panic!("{name} in {shown}"))
    };
    assert_eq!(of("bank")["breaker"]["state"], "closed");
    assert_eq!(of("bank")["module"], "payments");
    assert!(of("bank")["bulkhead"]["slots"].is_u64(), "{shown}");
    // Nothing was called yet: it knows no latency and has earned nothing.
    let unknown = serde_json::json!({"after_ms": null, "budget": 0.0});
    assert_eq!(of("bank")["hedge"], unknown);
    assert!(of("ledger").get("breaker").is_none() && of("ledger")["adaptive"]["limit"].is_u64());
    assert!(shown["data"]["admission"]["limit"].is_u64(), "{shown}");

    let path = |action: &str| format!("POST /debug/policies/payments/bank/{action}");
    let (status, policy) = ask(address, &path("force-open")).await;
    assert_eq!(
        (status, policy["breaker"]["state"].as_str()),
        (200, Some("forced_open"))
    );
    assert!(matches!(
        called(&bank).await,
        Err(Some(Refusal::BreakerOpen { .. }))
    ));
    let gauge = "policy_breaker_state{dependency=\"bank\"} 3";
    let (_, text) = text(address, "/metrics").await;
    assert!(text.contains(gauge), "{text}");
    let (_, policy) = ask(address, &path("force-closed")).await;
    assert_eq!(policy["breaker"]["state"], "forced_closed");
    assert_eq!(called(&bank).await, Ok(7));
    ask(address, &path("reset")).await;
    assert_eq!(bank.breaker().unwrap().state(), State::Closed);

    for (line, expected) in [
        (path("burn"), 404),
        ("POST /debug/policies/payments/nobody/reset".to_owned(), 404),
        ("POST /debug/policies/payments/ledger/reset".to_owned(), 409),
        ("GET /debug/policies/payments/bank/reset".to_owned(), 405),
    ] {
        assert_eq!(ask(address, &line).await.0, expected, "{line}");
    }
}

/// A forgotten one raises an alarm, also where its policy was made without metrics.
#[tokio::test]
async fn that_a_breaker_is_forced_is_a_metric_until_it_is_reset() {
    let bank = Policy::new("bank", &PolicySettings::default());
    let (_running, address) = start(&bank, &Metrics::default()).await;
    for (action, forced) in [
        ("reset", 0),
        ("force-open", 1),
        ("force-closed", 1),
        ("reset", 0),
    ] {
        let line = format!("POST /debug/policies/payments/bank/{action}");
        assert_eq!(ask(address, &line).await.0, 200);
        let (_, metrics) = text(address, "/metrics").await;
        let gauges = metrics.lines();
        let gauges: Vec<_> = gauges
            .filter(|line| line.starts_with("stanchion_breaker_forced{"))
            .collect();
        // The ledger's is switched off.
        let expected =
            format!("stanchion_breaker_forced{{module=\"payments\",dependency=\"bank\"}} {forced}");
        assert_eq!(gauges, [expected], "{action}");
    }
}

async fn text(address: SocketAddr, path: &str) -> (String, String) {
    let mut line = Line::open(address).await;
    line.say(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
        .await;
    line.answer().await.unwrap()
}

#[tokio::test]
async fn the_command_line_asks_the_service_that_runs_and_nobody_else() {
    let bank = Policy::new("bank", &PolicySettings::default());
    let (_running, address) = start(&bank, &Metrics::default()).await;
    let state = || bank.breaker().unwrap().state();
    for (line, code, expected) in [
        ("policies", 0, State::Closed),
        ("policies list", 0, State::Closed),
        ("policies force-open bank", 0, State::ForcedOpen),
        (
            "policies force-closed payments/bank",
            0,
            State::ForcedClosed,
        ),
        ("policies reset bank", 0, State::Closed),
        ("policies reset nobody", 2, State::Closed),
        ("policies reset ledger", 1, State::Closed),
    ] {
        let operator = service().admin(admin(address));
        assert_eq!(operate(operator, line).await, code, "{line}");
        assert_eq!(state(), expected, "{line}");
    }
    let nowhere = service().admin(admin("127.0.0.1:9".parse().unwrap()));
    assert_eq!(operate(nowhere, "policies").await, 1);
}

/// The exit code of a command, given to a service that is put together for it.
pub(super) async fn operate(service: Service, line: &str) -> u8 {
    let cli = ServiceCli::new("shop", "1.0.0", async |_| Ok::<_, Stopped>(service));
    let words = std::iter::once("shop").chain(line.split(' '));
    cli.main_with(words.map(OsString::from)).await.code()
}
