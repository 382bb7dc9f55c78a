//! Deadlines over hops of real services (row C12 of the fault catalogue), and what else is passed on.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use stanchion_client::{HttpClient, Reason};
use stanchion_resilience::{Moment, Refusal, deadline::Deadline};
use stanchion_server::{Module, Running, ServerSettings, Service};
use stanchion_telemetry::Metrics;
use tokio::time::Instant;

use super::host::{Host, quick};

/// A service in the middle: works a while, then asks the next one.
struct Hop {
    next: HttpClient,
    works: Duration,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    refused: Arc<Mutex<Vec<String>>>,
}

async fn relay(State(hop): State<Arc<Hop>>, headers: HeaderMap) -> StatusCode {
    hop.seen.lock().push(headers);
    tokio::time::sleep(hop.works).await;
    match hop.next.get("/").send().await {
        Ok(_) => StatusCode::OK,
        Err(error) => {
            hop.refused.lock().push(error.to_string());
            StatusCode::GATEWAY_TIMEOUT
        }
    }
}

struct Served {
    url: String,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    refused: Arc<Mutex<Vec<String>>>,
    _running: Running,
}

async fn hop(next: &str, works: Duration) -> Served {
    let mut settings = quick();
    settings.policy.retry_on = false;
    let next = HttpClient::new("next", next, &settings, &Metrics::default()).unwrap();
    let (seen, refused) = (Arc::default(), Arc::default());
    let state = Arc::new(Hop {
        next,
        works,
        seen: Arc::clone(&seen),
        refused: Arc::clone(&refused),
    });
    let router = axum::Router::new().route("/", get(relay)).with_state(state);
    let settings = ServerSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..ServerSettings::default()
    };
    let service = Service::new(settings).mount(Module::new("hop").http_router(router));
    let running = service.start().await.unwrap();
    let url = format!("http://{}", running.addresses().public.unwrap());
    Served {
        url,
        seen,
        refused,
        _running: running,
    }
}

fn told(headers: &HeaderMap) -> u64 {
    let text = headers["x-request-timeout"].to_str().unwrap();
    text.strip_suffix("ms").unwrap().parse().unwrap()
}

#[tokio::test]
async fn three_hops_share_one_deadline_and_each_is_told_what_is_left() {
    let last = Host::start().await;
    let works = Duration::from_millis(40);
    let second = hop(&last.url(), works).await;
    let first = hop(&second.url, works).await;
    let client = HttpClient::new("first", &first.url, &quick(), &Metrics::default()).unwrap();
    let until = Deadline::after(Moment::now(), Duration::from_millis(900));
    let answer = client
        .get("/")
        .header("x-request-id", "trip-7")
        .until(until)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.header("x-request-id"), Some("trip-7"));
    let told: Vec<u64> = [
        first.seen.lock()[0].clone(),
        second.seen.lock()[0].clone(),
        last.heads()[0].clone(),
    ]
    .iter()
    .map(told)
    .collect();
    assert!(
        told[0] <= 900 && told[1] + 40 <= told[0] && told[2] + 40 <= told[1],
        "{told:?}"
    );
    for head in [
        &first.seen.lock()[0],
        &second.seen.lock()[0],
        &last.heads()[0],
    ] {
        assert_eq!(head["x-request-id"], "trip-7");
    }
}

#[tokio::test]
async fn a_hop_that_has_no_time_left_starts_nothing_and_the_caller_hears_in_time() {
    let last = Host::start().await;
    let second = hop(&last.url(), Duration::from_millis(70)).await;
    let first = hop(&second.url, Duration::from_millis(60)).await;
    let mut settings = quick();
    settings.policy.retry_on = false;
    let client = HttpClient::new("first", &first.url, &settings, &Metrics::default()).unwrap();
    let begun = Instant::now();
    let until = Deadline::after(Moment::now(), Duration::from_millis(100));
    let error = client.get("/").until(until).send().await.unwrap_err();
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(300), "{took:?}: {error}");
    // 100 ms: 60 for the first, 40 for the second, which works 70 and is cut off before it can ask the last.
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(last.calls(), 0, "{:?}", second.refused.lock());
}

/// Or it would end the body with the policy, which guards the head alone.
#[tokio::test]
async fn of_a_streamed_answer_the_host_is_told_how_long_the_body_may_take() {
    let host = Host::start().await;
    let client = host.client(&quick());
    let until = Deadline::after(Moment::now(), Duration::from_secs(300));
    client.get("/").until(until).stream().await.unwrap();
    client.get("/").stream().await.unwrap();
    client.get("/").until(until).send().await.unwrap();
    let heads = host.heads();
    assert!(told(&heads[0]) > 200_000, "{}", told(&heads[0]));
    assert!(!heads[1].contains_key("x-request-timeout"));
    assert!(told(&heads[2]) <= 30_000, "{}", told(&heads[2]));
}

#[tokio::test]
async fn less_than_the_floor_is_not_spent() {
    let host = Host::start().await;
    let client = host.client(&quick());
    let until = Deadline::after(Moment::now(), Duration::from_millis(3));
    let error = client.get("/").until(until).send().await.unwrap_err();
    assert!(
        matches!(error.reason(), Reason::Refused(Refusal::NoTimeLeft)),
        "{error}"
    );
    assert!(error.is_late() && error.had_no_effect());
    assert_eq!(host.calls(), 0);
}

#[tokio::test]
async fn the_trace_goes_on_and_a_client_of_outsiders_tells_nothing() {
    let _logged = stanchion_telemetry::testing::capture();
    let host = Host::start().await;
    let span = tracing::info_span!("outer");
    let trace = span.in_scope(stanchion_telemetry::trace::trace_id).unwrap();
    let call = async { host.client(&quick()).get("/").send().await.unwrap() };
    tracing::Instrument::instrument(call, span.clone()).await;
    let parent = host.heads()[0]["traceparent"].to_str().unwrap().to_owned();
    assert_eq!(&parent[3..35], trace);

    let mut settings = quick();
    settings.pass_context = false;
    let call = async { host.client(&settings).get("/").send().await.unwrap() };
    tracing::Instrument::instrument(call, span).await;
    let head = &host.heads()[1];
    for name in [
        "traceparent",
        "x-request-timeout",
        "x-request-attempt",
        "x-request-id",
    ] {
        assert!(!head.contains_key(name), "{name}");
    }
}
