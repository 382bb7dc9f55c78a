//! G2 behind HAProxy: it marks each request that it sends, so that one without its mark is one that it has not seen.

use std::fmt::Write as _;

use axum::extract::Request;
use http::StatusCode;
use parking_lot::Mutex;
use stanchion_testing::process::{Launch, ServiceProcess, free_port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::shop::settings;
use super::*;

const BINARY: &str = "/usr/sbin/haproxy";
const READY_WITHIN: Duration = Duration::from_secs(10);
const MARK: &str = "x-by-haproxy";

/// HAProxy before an address, ended with this test however that ends.
struct Proxy {
    _process: ServiceProcess,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Proxy {
    async fn before(service: SocketAddr) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("haproxy.cfg");
        let text = format!(
            "global\n  maxconn 100\n\
             defaults\n  mode http\n  timeout connect 2s\n  timeout client 5s\n  timeout server 5s\n  \
             option http-keep-alive\n  http-reuse always\n\
             frontend in\n  bind {address}\n  http-request set-header {MARK} yes\n  default_backend out\n\
             backend out\n  server a {service}\n"
        );
        std::fs::write(&file, text).unwrap();
        let launch = Launch::new(BINARY).arg("-db").arg("-f").arg(file);
        let mut process = launch.spawn().unwrap();
        let began = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            let runs = process.exited().unwrap().is_none();
            let waits = runs && began.elapsed() < READY_WITHIN;
            assert!(waits, "HAProxy does not listen: {}", process.stderr());
            sleep(Duration::from_millis(20)).await;
        }
        Self {
            _process: process,
            address,
            _folder: folder,
        }
    }

    /// All that comes back for these bytes within a moment: what HAProxy waits for will not come.
    async fn say(&self, bytes: &[u8]) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // A connection that is closed meanwhile is an answer as well.
        let _said = stream.write_all(bytes).await;
        let mut answers = Vec::new();
        let all = stream.read_to_end(&mut answers);
        let _some = timeout(Duration::from_millis(60), all).await;
    }
}

/// Requests that somebody could smuggle, each with another one in it.
fn smuggling() -> Vec<Vec<u8>> {
    let inner = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    let (length, chunk) = (
        inner.len(),
        format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len()),
    );
    let mut framings = vec![
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
        format!("content-length: 0\r\ncontent-length: {length}\r\n"),
        format!("content-length: {length}\r\ncontent-length: 0\r\n"),
        format!("content-length: 0, {length}\r\n"),
        "transfer-encoding: chunked\r\nexpect: 100-continue\r\n".to_owned(),
        format!("content-length: {length}\r\nconnection: content-length\r\n"),
        "transfer-encoding: chunked\r\nconnection: transfer-encoding\r\n".to_owned(),
        "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk\r\n"
            .to_owned(),
        "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 777\r\n".to_owned(),
    ];
    let strange = [
        " ", "\t", "\u{b}", "\u{c}", "\r", "\n", "\0", "\u{1}", "\u{7f}", "\u{a0}", "\u{17f}", "_",
        "-",
    ];
    for strange in strange {
        for (name, value) in [("transfer-encoding", "chunked"), ("content-length", "0")] {
            for other in [
                "",
                "content-length: 0\r\n",
                "transfer-encoding: chunked\r\n",
            ] {
                framings.push(format!("{name}{strange}: {value}\r\n{other}"));
                framings.push(format!("{strange}{name}: {value}\r\n{other}"));
                framings.push(format!("{name}: {strange}{value}\r\n{other}"));
                framings.push(format!("{name}: {value}{strange}\r\n{other}"));
                framings.push(format!("x: y{strange}{name}: {value}\r\n{other}"));
            }
        }
    }
    for coding in [
        "chunked, chunked",
        "gzip, chunked",
        "identity, chunked",
        "chunked, identity",
        "xchunked",
    ] {
        framings.push(format!("transfer-encoding: {coding}\r\n"));
        framings.push(format!(
            "transfer-encoding: {coding}\r\ncontent-length: {length}\r\n"
        ));
    }
    let chunks = [
        "0;\n\r\n\r\n",
        "0\n\r\n",
        "00\r\n\r\n",
        "0x0\r\n\r\n",
        "+0\r\n\r\n",
        "0 \r\n\r\n",
        "1\r\nxx\r\n0\r\n\r\n",
        "10000000000000000\r\nx",
        "2;a=\"\r\n\"\r\nxx\r\n0\r\n\r\n",
        "0\r\ncontent-length: 9\r\n\r\n",
    ];
    let posts = ["1.1", "1.0"].map(|version| format!("POST /asked HTTP/{version}\r\nhost: a\r\n"));
    let mut all = Vec::new();
    for post in &posts {
        for framing in &framings {
            for body in [chunk.as_str(), "0\r\n\r\n", ""] {
                all.push(format!("{post}{framing}\r\n{body}{inner}").into_bytes());
            }
        }
        for chunked in chunks {
            all.push(
                format!("{post}transfer-encoding: chunked\r\n\r\n{chunked}{inner}").into_bytes(),
            );
        }
    }
    all
}

#[tokio::test]
async fn whatever_haproxy_lets_through_is_read_as_haproxy_read_it() {
    if !std::path::Path::new(BINARY).exists() {
        return eprintln!("skipped: haproxy is not installed");
    }
    let seen: Arc<Mutex<(usize, String)>> = Arc::default();
    let noted = Arc::clone(&seen);
    let note = move |request: Request| {
        let mut noted = noted.lock();
        noted.0 += 1;
        if !request.headers().contains_key(MARK) {
            let _ = write!(noted.1, "{} {}", request.method(), request.uri());
        }
        drop(noted);
        async move {
            let _read = axum::body::to_bytes(request.into_body(), 1 << 20).await;
            StatusCode::OK
        }
    };
    let router = Router::new().fallback(note);
    let service = Service::new(settings()).mount(Module::new("own").http_router(router));
    let running = service.start().await.unwrap();
    let proxy = Proxy::before(running.addresses().public.unwrap()).await;
    let all = smuggling();
    let count = all.len();
    // Side by side: most end by waiting in vain.
    let said = stream::iter(all).for_each_concurrent(16, |bytes| {
        let (proxy, seen) = (&proxy, &seen);
        async move {
            proxy.say(&bytes).await;
            let unseen = seen.lock().1.clone();
            assert!(
                unseen.is_empty(),
                "{unseen}, among others after {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    });
    said.await;
    let seen = seen.lock();
    println!("{count} sent, {} reached the service", seen.0);
    assert!(
        seen.0 > count / 20,
        "HAProxy let {} of {count} through",
        seen.0
    );
    assert_eq!(seen.1, "", "not seen by HAProxy");
}
