//! Who is let in while there is more to do than can be done, over real sockets and in the stack.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::{get, post};
use futures_util::future::join_all;
use http_body_util::BodyExt;
use stanchion_server::{
    AdminSettings, AdmissionSettings, Module, Priority, Running, ServerSettings, Service,
};
use stanchion_telemetry::Metrics;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::api::Api;
use super::shop::{Tokens, service_with, settings};
use super::sockets::Line;

/// Ten requests at once, none let wait.
fn ten() -> ServerSettings {
    ServerSettings {
        in_flight_max: 10,
        admission: AdmissionSettings {
            adaptive_on: false,
            ..AdmissionSettings::default()
        },
        ..settings()
    }
}

/// A module whose one route, with its own name as path, is answered when the gate opens.
fn gated(name: &'static str, priority: Priority, gate: &Arc<Semaphore>) -> Module {
    let gate = Arc::clone(gate);
    let route = get(async move || drop(gate.acquire().await));
    let router = Router::new().route(&format!("/{name}"), route);
    Module::new(name).priority(priority).http_router(router)
}

#[tokio::test]
async fn the_less_important_is_shed_first_and_a_caller_can_only_lower_its_own() {
    let gate = Arc::new(Semaphore::new(0));
    let service = Service::new(ten())
        .mount(gated("usual", Priority::Normal, &gate))
        .mount(gated("vital", Priority::Critical, &gate))
        .mount(gated("some-day", Priority::Bulk, &gate));
    let api = Api(service.into_router().unwrap());
    // Thirteen of each at once; bulk may fill three tenths, background six, normal nine, critical all.
    let ask = async |path: &str, priority: Option<&str>| {
        let headers: Vec<_> = priority
            .map(|priority| ("x-request-priority", priority))
            .into_iter()
            .collect();
        api.send(&format!("GET //{path}"), &headers, Body::empty())
            .await
    };
    let let_in = async |path: &str, priority: Option<&str>| {
        let all = join_all((0..13).map(|_| ask(path, priority)));
        let open = async {
            sleep(Duration::from_millis(100)).await;
            gate.add_permits(13);
        };
        let (all, ()) = tokio::join!(all, open);
        gate.forget_permits(13);
        all.iter().filter(|got| got.status == 200).count()
    };
    let cases = [
        ("some-day", None, 3),
        ("some-day", Some("critical"), 3),
        ("usual", Some("bulk"), 3),
        ("usual", Some("background"), 6),
        ("usual", None, 9),
        ("usual", Some("critical"), 9),
        ("usual", Some("nonsense"), 9),
        ("vital", Some("normal"), 9),
        ("vital", None, 10),
    ];
    for (path, priority, expected) in cases {
        assert_eq!(
            let_in(path, priority).await,
            expected,
            "{path} {priority:?}"
        );
    }
}

#[tokio::test]
async fn health_is_answered_while_all_places_are_taken_and_the_metrics_tell() {
    let (gate, metrics) = (Arc::new(Semaphore::new(0)), Metrics::default());
    let service = service_with(ten())
        .metrics(metrics)
        .admin(admin())
        .mount(gated("vital", Priority::Critical, &gate));
    let running = service.start().await.unwrap();
    let address = running.addresses().public.unwrap();
    let mut held = Vec::new();
    for _ in 0..10 {
        let mut line = Line::open(address).await;
        line.say("GET /vital HTTP/1.1\r\nhost: a\r\n\r\n").await;
        held.push(line);
    }
    let operator = running.addresses().admin.unwrap();
    has(operator, 10, "running").await;
    let began = Instant::now();
    assert!(status(address, "/vital").await.starts_with("http/1.1 503"));
    assert!(
        began.elapsed() < Duration::from_millis(50),
        "{:?}",
        began.elapsed()
    );
    for open in ["/health", "/ready"] {
        assert!(
            status(address, open).await.starts_with("http/1.1 200"),
            "{open}"
        );
    }
    let (_, text) = raw(operator, "/metrics").await;
    for line in [
        "stanchion_admission_limit 10",
        "stanchion_admission_running 10",
        "stanchion_admission_requests_total{priority=\"critical\",outcome=\"admitted\"} 10",
        "stanchion_admission_requests_total{priority=\"critical\",outcome=\"shed\"} 1",
        "stanchion_server_requests_shed_total{reason=\"overloaded\"} 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let (_, shown) = raw(operator, "/debug/policies").await;
    assert!(shown.contains("\"running\":10"), "{shown}");
    // It was asked at once, and then in the queue: two ways, one call.
    assert!(shown.contains("\"felt\":1,"), "{shown}");
    gate.add_permits(10);
    for line in &mut held {
        assert!(line.answer().await.unwrap().0.starts_with("http/1.1 200"));
    }
    gate.add_permits(1);
    assert!(status(address, "/vital").await.starts_with("http/1.1 200"));
}

async fn raw(address: SocketAddr, path: &str) -> (String, String) {
    let mut line = Line::open(address).await;
    line.say(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
        .await;
    line.answer().await.unwrap()
}

/// Until so many are `running`, or `arriving`, as the operator is told.
async fn has(operator: SocketAddr, requests: usize, how: &str) {
    let shown = format!("stanchion_admission_{how} {requests}\n");
    let reached = timeout(Duration::from_secs(20), async {
        while !raw(operator, "/metrics").await.1.contains(&shown) {
            sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(reached.await.is_ok(), "there are never {requests} {how}");
}

/// An operator's port of its own.
fn admin() -> AdminSettings {
    AdminSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..AdminSettings::default()
    }
}

async fn status(address: SocketAddr, path: &str) -> String {
    raw(address, path).await.0
}

/// Whoever sends its body slowly holds no place that others could work in: without this, as many slow clients as the
/// limit has places would keep everybody out.
#[tokio::test]
async fn clients_that_send_slowly_keep_nobody_out_and_are_served_in_the_end() {
    let echo = Router::new()
        .route("/echo", post(async |body: String| body))
        .route("/quick", get(async || "here"));
    let service = Service::new(ten())
        .metrics(Metrics::default())
        .admin(admin())
        .mount(Module::new("own").http_router(echo));
    let running: Running = service.start().await.unwrap();
    let address = running.addresses().public.unwrap();
    let operator = running.addresses().admin.unwrap();
    let mut slow = Vec::new();
    for _ in 0..10 {
        let mut line = Line::open(address).await;
        line.say("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
            .await;
        slow.push(line);
    }
    has(operator, 10, "arriving").await;
    assert!(status(address, "/quick").await.starts_with("http/1.1 200"));
    // As many as may be worked on may arrive; one more is told that it was too slow.
    let mut one_more = Line::open(address).await;
    one_more
        .say("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
        .await;
    let (head, _) = one_more.answer().await.unwrap();
    assert!(head.starts_with("http/1.1 4"), "{head}");
    for line in &mut slow {
        line.say("cd").await;
        let (head, body) = line.answer().await.unwrap();
        assert!(head.starts_with("http/1.1 200") && body == "abcd", "{head}");
    }
}

#[tokio::test]
async fn one_body_too_many_is_overload_in_words() {
    let echo = Router::new().route("/echo", post(async |body: String| body));
    let service = service_with(ten())
        .metrics(Metrics::default())
        .admin(admin())
        .mount(Module::new("own").http_router(echo));
    let running = service.start().await.unwrap();
    let address = running.addresses().public.unwrap();
    let operator = running.addresses().admin.unwrap();
    let mut slow = Vec::new();
    for _ in 0..10 {
        let mut line = Line::open(address).await;
        line.say("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
            .await;
        slow.push(line);
    }
    has(operator, 10, "arriving").await;
    let mut one_more = Line::open(address).await;
    one_more
        .say(
            "POST /api/v1/things HTTP/1.1\r\nhost: a\r\nauthorization: Bearer writer\r\n\
             content-type: application/json\r\ncontent-length: 100\r\n\r\n{\"name\"",
        )
        .await;
    let (head, body) = one_more.answer().await.unwrap();
    assert!(head.starts_with("http/1.1 503"), "{head}{body}");
    assert!(
        head.contains("retry-after: ") && body.contains("OVERLOADED"),
        "{head}{body}"
    );
}

/// A handler that waited for its client, waits no longer and goes on has a place again.
#[tokio::test]
async fn who_gives_up_a_body_works_in_a_place_all_the_same() {
    let (gate, given_up) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (opened, tells) = (Arc::clone(&gate), Arc::clone(&given_up));
    let impatient = post(async move |request: Request| {
        let mut body = request.into_body();
        // The first piece is there; the second never comes.
        for _ in 0..2 {
            let _ = timeout(Duration::from_millis(50), body.frame()).await;
        }
        drop(body);
        tells.add_permits(1);
        drop(opened.acquire().await);
    });
    let router = Router::new()
        .route("/impatient", impatient)
        .route("/quick", get(async || "here"));
    let service = Service::new(ten()).mount(Module::new("own").http_router(router));
    let running: Running = service.start().await.unwrap();
    let address = running.addresses().public.unwrap();
    let mut lines = Vec::new();
    for _ in 0..9 {
        let mut line = Line::open(address).await;
        line.say("POST /impatient HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
            .await;
        lines.push(line);
    }
    let all = timeout(Duration::from_secs(20), given_up.acquire_many(9)).await;
    drop(all.expect("not all of them give up").unwrap());
    // And has its place again.
    sleep(Duration::from_millis(100)).await;
    assert!(status(address, "/quick").await.starts_with("http/1.1 503"));
    gate.add_permits(9);
    for line in &mut lines {
        assert!(line.answer().await.unwrap().0.starts_with("http/1.1 200"));
    }
    assert!(status(address, "/quick").await.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_its_place() {
    let gate = Arc::new(Semaphore::new(0));
    let service = Service::new(ten())
        .metrics(Metrics::default())
        .admin(admin())
        .mount(gated("vital", Priority::Critical, &gate));
    let running = service.start().await.unwrap();
    let operator = running.addresses().admin.unwrap();
    let address = running.addresses().public.unwrap();
    for _ in 0..3 {
        let mut held = Vec::new();
        for _ in 0..10 {
            let mut line = Line::open(address).await;
            line.say("GET /vital HTTP/1.1\r\nhost: a\r\n\r\n").await;
            held.push(line);
        }
        has(operator, 10, "running").await;
        assert!(status(address, "/vital").await.starts_with("http/1.1 503"));
        drop(held);
        has(operator, 0, "running").await;
    }
    gate.add_permits(1);
    assert!(status(address, "/vital").await.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_when_to_come_back() {
    let mut counted = settings();
    counted.admission.address_rate_on = true;
    counted.admission.address_rate.per_second = 1.0;
    counted.admission.address_rate.burst = 3;
    let running = service_with(counted).start().await.unwrap();
    let address = running.addresses().public.unwrap();
    for _ in 0..3 {
        assert!(
            status(address, "/api/v1/seen")
                .await
                .starts_with("http/1.1 200")
        );
    }
    let (head, body) = raw(address, "/nowhere").await;
    assert!(
        head.starts_with("http/1.1 429") && body.contains("RATE_LIMITED"),
        "{head}{body}"
    );
    for header in [
        "retry-after: 1\r\n",
        "ratelimit-limit: 3\r\n",
        "ratelimit-remaining: 0\r\n",
        "ratelimit-reset: 1\r\n",
        "ratelimit-policy: 3;w=3\r\n",
    ] {
        assert!(head.contains(header), "{header} in {head}");
    }
    assert!(status(address, "/health").await.starts_with("http/1.1 200"));
    sleep(Duration::from_millis(1_100)).await;
    assert!(
        status(address, "/api/v1/seen")
            .await
            .starts_with("http/1.1 200")
    );
}

#[tokio::test]
async fn each_caller_has_a_rate_of_its_own() {
    let mut counted = settings();
    counted.admission.caller_rate_on = true;
    counted.admission.caller_rate.per_second = 0.01;
    counted.admission.caller_rate.burst = 2;
    let service = Service::new(counted)
        .tokens(Arc::new(Tokens))
        .mount(super::shop::module(super::shop::Things::default()));
    let api = Api(service.into_router().unwrap());
    let ask = async |token: &str| {
        let token = format!("Bearer {token}");
        let headers = [("authorization", token.as_str())];
        let got = api.send("GET /seen", &headers, Body::empty()).await;
        got.status
    };
    let reader = [
        ask("reader").await,
        ask("reader").await,
        ask("reader").await,
    ];
    assert_eq!(
        (reader[0] == 429, reader[1] == 429, reader[2]),
        (false, false, 429)
    );
    assert_ne!(ask("writer").await, 429);
}

/// Who is refused while it still sends must be able to read why: the rest is read first.
#[tokio::test]
async fn a_large_body_behind_a_refusal_is_read_and_the_refusal_arrives() {
    let mut counted = settings();
    counted.admission.address_rate_on = true;
    counted.admission.address_rate.per_second = 0.01;
    counted.admission.address_rate.burst = 1;
    let running = service_with(counted).start().await.unwrap();
    let address = running.addresses().public.unwrap();
    assert!(status(address, "/api/v1/seen").await.contains(" 200 "));
    let half = "x".repeat(512 * 1024);
    let head = "POST /api/v1/things HTTP/1.1\r\nhost: a\r\ncontent-length: 1048576\r\n\r\n";
    for _ in 0..5 {
        let mut line = Line::open(address).await;
        line.say(head).await;
        line.say(&half).await;
        // Long enough for whoever answers at once and closes.
        sleep(Duration::from_millis(100)).await;
        line.say(&half).await;
        let (head, body) = line.answer().await.expect("the refusal arrives");
        assert!(head.starts_with("http/1.1 429"), "{head}");
        assert!(body.contains("RATE_LIMITED"), "{body}");
        // The answer says that nothing may follow, and nothing is lost by the end.
        assert!(head.contains("connection: close"), "{head}");
        let mut rest = Vec::new();
        let end = tokio::io::AsyncReadExt::read_to_end(&mut line.0, &mut rest).await;
        assert_eq!((end.ok(), rest.len()), (Some(0), 0), "a clean end");
    }
    // A small one costs nobody the connection.
    let mut line = Line::open(address).await;
    for _ in 0..3 {
        line.say("POST /api/v1/things HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
            .await;
        sleep(Duration::from_millis(50)).await;
        line.say("cd").await;
        let (head, _) = line.answer().await.expect("the connection lives");
        assert!(head.starts_with("http/1.1 429") && !head.contains("connection: close"));
    }
}
