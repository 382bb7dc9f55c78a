//! The accept loop over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use stanchion_server::{Running, ServerSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::shop::{service_with, settings};

pub async fn start(settings: ServerSettings) -> (Running, SocketAddr) {
    let running = service_with(settings).start().await.unwrap();
    let address = running.addresses().public.unwrap();
    (running, address)
}

/// A connection that speaks HTTP/1.1 by hand.
pub struct Line(pub TcpStream);

impl Line {
    pub async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    pub async fn get(&mut self, path: &str) {
        self.say(&format!(
            "GET /api/v1{path} HTTP/1.1\r\nhost: localhost\r\n\r\n"
        ))
        .await;
    }

    /// Head and body of the next answer; `None` when the connection ends instead.
    pub async fn answer(&mut self) -> Option<(String, String)> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(self.0.read_u8().await.ok()?);
        }
        let head = String::from_utf8(bytes).unwrap().to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await.ok()?;
        Some((head, String::from_utf8(body).unwrap()))
    }

    /// Waits for the other side to end the connection.
    pub async fn ended(&mut self) -> Duration {
        let began = Instant::now();
        let mut rest = Vec::new();
        let _ = timeout(Duration::from_secs(10), self.0.read_to_end(&mut rest))
            .await
            .expect("it ends");
        began.elapsed()
    }
}

/// Asks an admin port in one line, such as `POST /subjects/reseal`; status and body.
pub async fn ask(address: SocketAddr, line: &str) -> (u16, Value) {
    let mut connection = Line::open(address).await;
    connection
        .say(&format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
    let (head, body) = connection.answer().await.unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_head_that_does_not_arrive_ends_the_connection() {
    let quick = ServerSettings {
        header_timeout: Duration::from_millis(300),
        ..settings()
    };
    let (_running, address) = start(quick).await;
    for beginning in ["", "G", "PRI * HT", "GET / HTTP/1.1\r\nhost: loc"] {
        let mut line = Line::open(address).await;
        line.say(beginning).await;
        let waited = line.ended().await;
        assert!(
            (250..2_000).contains(&waited.as_millis()),
            "{beginning:?}: {waited:?}"
        );
    }
    let mut idle = Line::open(address).await;
    idle.get("/seen").await;
    assert!(idle.answer().await.is_some());
    tokio::time::sleep(Duration::from_millis(900)).await;
    idle.get("/seen").await;
    assert!(
        idle.answer().await.is_some(),
        "an idle connection is no half-sent head"
    );
    idle.say("GET /api").await;
    idle.ended().await;
}

/// Whether a new connection is taken, and a request on it answered.
async fn is_served(address: SocketAddr) -> bool {
    let mut line = Line::open(address).await;
    let request = b"GET /api/v1/seen HTTP/1.1\r\nhost: localhost\r\n\r\n";
    line.0.write_all(request).await.is_ok() && line.answer().await.is_some()
}

#[tokio::test]
async fn one_address_cannot_take_every_connection() {
    let bounded = ServerSettings {
        connections_per_address_max: 2,
        ..settings()
    };
    let (_running, address) = start(bounded).await;
    let (mut one, mut two) = (Line::open(address).await, Line::open(address).await);
    for line in [&mut one, &mut two] {
        line.get("/seen").await;
        assert!(line.answer().await.is_some());
    }
    let mut three = Line::open(address).await;
    three.ended().await;
    drop(one);
    let room = timeout(Duration::from_secs(10), async {
        // Its end may be heard of later.
        while !is_served(address).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(room.await.is_ok(), "there is no room again");
}

#[tokio::test]
async fn beyond_the_total_a_connection_waits_for_room() {
    let bounded = ServerSettings {
        connections_max: 1,
        connections_per_address_max: 1,
        ..settings()
    };
    let (_running, address) = start(bounded).await;
    let mut one = Line::open(address).await;
    one.get("/seen").await;
    assert!(one.answer().await.is_some());
    let mut two = Line::open(address).await;
    two.get("/seen").await;
    assert!(
        timeout(Duration::from_millis(200), two.answer())
            .await
            .is_err(),
        "it waits"
    );
    drop(one);
    assert!(two.answer().await.is_some());
}

#[tokio::test]
async fn what_means_two_things_is_refused_and_the_connection_ended() {
    let (_running, address) = start(settings()).await;
    let cases = [
        "GET /api/v1/seen HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        "GET /api/v1/seen HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\nGET /",
        "GET /api/v1/seen HTTP/1.1\r\nhost: a\r\n folded: x\r\n\r\n",
        "GET /api/v1/seen HTTP/1.1\r\nhost : a\r\n\r\n",
        "GET /api/v1/seen HTTP/9.9\r\nhost: a\r\n\r\n",
        "NOT HTTP AT ALL\r\n\r\n",
    ];
    for case in cases {
        let mut line = Line::open(address).await;
        line.say(case).await;
        let mut rest = Vec::new();
        let _ = timeout(Duration::from_secs(2), line.0.read_to_end(&mut rest)).await;
        let text = String::from_utf8_lossy(&rest);
        assert!(text.matches("HTTP/1.1").count() <= 1, "{case:?}: {text}");
        assert!(!text.contains("HTTP/1.1 5"), "{case:?}: {text}");
    }
}

#[tokio::test]
async fn a_body_that_stalls_ends_at_the_deadline() {
    let (_running, address) = start(settings()).await;
    let mut line = Line::open(address).await;
    line.say(
        "POST /api/v1/things HTTP/1.1\r\nhost: a\r\nauthorization: Bearer writer\r\ncontent-type: application/json\r\n\
         x-request-timeout: 200ms\r\ncontent-length: 100\r\n\r\n{\"name\"",
    )
    .await;
    let (head, body) = line.answer().await.unwrap();
    assert!(
        head.starts_with("http/1.1 504") && body.contains("DEADLINE_EXCEEDED"),
        "{head}{body}"
    );
}

#[tokio::test]
async fn headers_beyond_every_bound_are_431() {
    let (_running, address) = start(settings()).await;
    let mut line = Line::open(address).await;
    let big = "z".repeat(300_000);
    let _ = line
        .0
        .write_all(format!("GET /api/v1/seen HTTP/1.1\r\nhost: a\r\nx: {big}\r\n\r\n").as_bytes())
        .await;
    let mut rest = Vec::new();
    let _ = timeout(Duration::from_secs(2), line.0.read_to_end(&mut rest)).await;
    let text = String::from_utf8_lossy(&rest);
    assert!(
        text.is_empty() || text.starts_with("HTTP/1.1 431"),
        "{text}"
    );
}

#[tokio::test]
async fn more_headers_than_we_take_are_refused_in_our_own_words() {
    let (_running, address) = start(settings()).await;
    // With its host.
    for (headers, status) in [(100, 200), (101, 431), (256, 431), (300, 431), (100, 200)] {
        let mut line = Line::open(address).await;
        // What was answered before is no part of it.
        line.get("/seen").await;
        assert!(line.answer().await.unwrap().0.starts_with("http/1.1 200"));
        let more = "x: y\r\n".repeat(headers - 1);
        let head = format!("GET /api/v1/seen HTTP/1.1\r\nhost: a\r\n{more}\r\n");
        line.say(&head).await;
        let (head, body) = line.answer().await.unwrap();
        assert!(
            head.starts_with(&format!("http/1.1 {status}")),
            "{headers}: {head}"
        );
        let is_ours = head.contains("content-type: application/json\r\n");
        let refused = status == 431;
        assert!(
            is_ours && body.contains("HEADERS_TOO_LARGE") == refused,
            "{headers}: {head}{body}"
        );
        let parsed: Value = serde_json::from_str(&body).unwrap();
        assert!(parsed["meta"]["timestamp"].is_string(), "{body}");
        if refused {
            assert!(head.contains("connection: close") && head.contains("date: "));
            assert_eq!(line.answer().await, None, "and the connection ends");
        }
    }
    // In pieces, as a slow network brings them.
    let mut line = Line::open(address).await;
    line.say("GET /api/v1/seen HTTP/1.1\r\nhost: a\r\n").await;
    for _ in 0..5 {
        line.say(&"x: y\r\n".repeat(20)).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    line.say("\r\n").await;
    let (head, body) = line.answer().await.unwrap();
    assert!(head.starts_with("http/1.1 431"), "{head}");
    assert!(body.contains("HEADERS_TOO_LARGE"), "{body}");
}

/// Whoever says what hyper would say is not corrected.
#[tokio::test]
async fn an_answer_that_only_looks_like_a_refusal_goes_as_it_is() {
    const BARE: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
                        content-length: 0\r\n\r\n";
    let router = axum::Router::new()
        .route("/bare", axum::routing::get(async || BARE))
        .route(
            "/own",
            axum::routing::get(async || (http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "own")),
        );
    let module = stanchion_server::Module::new("own").http_router(router);
    let running = service_with(settings()).mount(module).start().await;
    let running = running.unwrap();
    let mut line = Line::open(running.addresses().public.unwrap()).await;
    for (path, status, expected) in [("/bare", 200, BARE), ("/own", 431, "own")] {
        line.say(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        let (head, body) = line.answer().await.unwrap();
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_left() {
    let impatient = ServerSettings {
        write_timeout: Duration::from_millis(300),
        ..settings()
    };
    let huge = axum::Router::new().route(
        "/huge",
        axum::routing::get(async || vec![b'x'; 64 * 1024 * 1024]),
    );
    let module = stanchion_server::Module::new("own").http_router(huge);
    let mut running = service_with(impatient).mount(module).start().await.unwrap();
    let mut line = Line::open(running.addresses().public.unwrap()).await;
    line.say("GET /huge HTTP/1.1\r\nhost: a\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    running.stop();
    let began = Instant::now();
    assert_eq!(running.stopped().await.code(), 0);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "the connection was gone before the stop"
    );
}

/// Posts a body of so many bytes in pieces, and reads nothing before all of it is sent.
async fn post_slowly(address: SocketAddr, path: &str, bytes: usize) -> Option<(String, String)> {
    let mut line = Line::open(address).await;
    line.say(&format!(
        "POST /api/v1{path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {bytes}\r\n\r\n"
    ))
    .await;
    let piece = vec![b' '; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(piece.len());
        line.0.write_all(&piece[..now]).await.ok()?;
        left -= now;
        // Whoever closes the connection now has the time to do so.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    line.answer().await
}

#[tokio::test]
async fn who_still_sends_when_the_answer_is_known_reads_it_nonetheless() {
    let (_running, address) = start(settings()).await;
    for (path, bytes, status) in [
        ("/things", (1 << 20) + 1, "413"),
        ("/things", 3 << 20, "413"),
        ("/nowhere", 2 << 20, "404"),
    ] {
        let (head, _) = post_slowly(address, path, bytes).await.unwrap();
        assert!(
            head.starts_with(&format!("http/1.1 {status}")),
            "{path}: {head}"
        );
    }
    // That much is not listened to.
    assert!(post_slowly(address, "/things", 64 << 20).await.is_none());
}
