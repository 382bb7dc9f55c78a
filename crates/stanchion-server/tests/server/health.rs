use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stanchion_server::{Module, Service};
use tokio::time::Instant;

use super::api::Api;
use super::shop::settings;

#[tokio::test]
async fn readiness_tells_what_is_out_and_what_is_missing() {
    let (store, broker) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(AtomicBool::new(true)),
    );
    let check = |up: &Arc<AtomicBool>| {
        let up = up.clone();
        move || {
            let up = up.load(Ordering::Relaxed);
            async move {
                if up {
                    Ok(())
                } else {
                    Err("connection refused".to_owned())
                }
            }
        }
    };
    let one = Module::new("one")
        .ready_when("database", check(&store))
        .degraded_unless("broker", check(&broker));
    let other = Module::new("other").ready_when("database", async || Ok(()));
    let api = Api(Service::new(settings())
        .mount(one)
        .mount(other)
        .into_router()
        .unwrap());
    let got = api.get("//ready").await;
    assert_eq!(
        (
            got.status,
            got.json()["status"].as_str().unwrap().to_owned()
        ),
        (200, "ready".into())
    );
    assert_eq!(got.json()["checks"]["database"]["status"], "healthy");
    assert!(got.json()["checks"]["broker"]["latency_ms"].is_u64());

    broker.store(false, Ordering::Relaxed);
    tokio::time::sleep(std::time::Duration::from_millis(550)).await;
    let got = api.get("//ready").await;
    assert_eq!(
        (
            got.status,
            got.json()["status"].as_str().unwrap().to_owned()
        ),
        (200, "degraded".into())
    );
    assert_eq!(
        got.json()["checks"]["broker"]["status"],
        "unhealthy: connection refused"
    );

    store.store(false, Ordering::Relaxed);
    tokio::time::sleep(std::time::Duration::from_millis(550)).await;
    let got = api.get("//ready").await;
    assert_eq!(
        (
            got.status,
            got.json()["status"].as_str().unwrap().to_owned()
        ),
        (503, "unavailable".into())
    );
    assert_eq!(
        got.json()["checks"]["database"]["status"],
        "unhealthy: one: connection refused"
    );
    assert_eq!(
        api.get("//health").await.status,
        200,
        "alive whatever is out"
    );
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_is_unhealthy_in_time() {
    let module =
        Module::new("one").ready_when("database", std::future::pending::<Result<(), String>>);
    let api = Api(Service::new(settings())
        .mount(module)
        .into_router()
        .unwrap());
    let got = api.get("//ready").await;
    assert_eq!(got.status, 503);
    assert_eq!(
        got.json()["checks"]["database"]["status"],
        "unhealthy: no answer within 2s"
    );
}

/// A balancer's probe waits for less than a check may take.
#[tokio::test(start_paused = true)]
async fn what_is_slow_and_optional_makes_nobody_wait() {
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        Ok(())
    };
    let module = Module::new("one").degraded_unless("gateway", slow);
    let service = Service::new(settings()).mount(module);
    let api = Api(service.into_router().unwrap());
    let ask = async || {
        let began = Instant::now();
        let got = api.get("//ready").await;
        assert_eq!(got.status, 200);
        assert!(began.elapsed() <= Duration::from_millis(250));
        got.json()["checks"]["gateway"]["status"].clone()
    };
    assert_eq!(ask().await, "unhealthy: no answer within 250ms");
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert_eq!(ask().await, "healthy", "it was asked all the while");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(ask().await, "healthy", "what it said last");
}
