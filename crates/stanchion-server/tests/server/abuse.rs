//! What hostile clients do to a port, over real sockets: each is refused or left in time, and nobody else notices.

mod floods;
mod heads;
mod resets;
mod slow;
mod stalls;
mod wire;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use futures_util::{Stream, StreamExt, stream};
use stanchion_runtime::task::{self, Task};
use stanchion_server::{Module, Running, ServerSettings, Service};
use stanchion_telemetry::Metrics;
use tokio::time::{Instant, sleep};

use super::shop::{Things, Tokens, module};
use super::sockets::Line;

/// A service with a neighbour: a well-behaved client, who asks all the time.
struct Abused {
    address: SocketAddr,
    metrics: Metrics,
    /// Handlers of `/hold` that are at work.
    holding: Holding,
    _running: Running,
}

/// How many there are, and were at most.
#[derive(Clone, Default)]
struct Holding {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// One of them, until it is dropped.
struct Held(Holding);

/// A client who asks over HTTP/1.1, one request after the other.
struct Neighbour {
    over: Arc<AtomicBool>,
    asking: Task<(u32, Duration)>,
}

impl Abused {
    async fn start(settings: ServerSettings) -> Self {
        let (metrics, holding) = (Metrics::default(), Holding::default());
        let counted = holding.clone();
        let hold = move || {
            let held = counted.hold();
            async move {
                sleep(Duration::from_secs(20)).await;
                drop(held);
            }
        };
        // Made once: what is measured is what connections hold.
        let [large, huge] = [256, 16 * 1024].map(|kib| Bytes::from(vec![b'x'; kib * 1024]));
        let router = Router::new()
            .route("/hold", get(hold.clone()).post(hold))
            .route("/large", get(async move || large))
            .route("/huge", get(async move || huge))
            .route(
                "/pieces",
                get(async || Body::from_stream(pieces(4_000, None))),
            )
            .route(
                "/drips",
                get(async || Body::from_stream(pieces(20, Some(Duration::from_millis(100))))),
            )
            .route("/echo", post(async |body: String| body));
        let service = Service::new(settings)
            .tokens(Arc::new(Tokens))
            .metrics(metrics.clone())
            .mount(module(Things::default()))
            .mount(Module::new("own").http_router(router));
        let running = service.start().await.unwrap();
        Self {
            address: running.addresses().public.unwrap(),
            metrics,
            holding,
            _running: running,
        }
    }

    fn connections(&self) -> usize {
        let shown = self.metrics.encode();
        let lines = &mut shown.lines();
        let count = lines.find_map(|line| line.strip_prefix("stanchion_server_connections "));
        count.unwrap().parse().unwrap()
    }

    /// Waits until so many connections are left; how long that took.
    async fn left_with(&self, connections: usize, within: Duration) -> Duration {
        let began = Instant::now();
        while self.connections() > connections {
            let waited = began.elapsed();
            let left = self.connections();
            assert!(waited < within, "{left} are there after {waited:?}");
            sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }

    fn neighbour(&self) -> Neighbour {
        let (address, over) = (self.address, Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&over);
        let asking = task::spawn("neighbour", async move {
            let mut line = Line::open(address).await;
            let (mut answers, mut longest) = (0, Duration::ZERO);
            while !told.load(Ordering::Relaxed) {
                let began = Instant::now();
                line.get("/seen").await;
                let (head, _) = line.answer().await.expect("the neighbour is answered");
                assert!(head.starts_with("http/1.1 200"), "{head}");
                longest = longest.max(began.elapsed());
                answers += 1;
                sleep(Duration::from_millis(2)).await;
            }
            (answers, longest)
        });
        Neighbour { over, asking }
    }
}

/// So many pieces of eight bytes, one after the other or with pauses.
fn pieces(
    count: u32,
    pause: Option<Duration>,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::iter(0..count).then(move |_| async move {
        match pause {
            Some(pause) => sleep(pause).await,
            None => tokio::task::yield_now().await,
        }
        Ok(Bytes::from_static(b"a piece\n"))
    })
}

impl Neighbour {
    /// It was answered all the while; a busy machine makes a second of what is a millisecond.
    async fn noticed_nothing(self) {
        self.over.store(true, Ordering::Relaxed);
        let (answers, longest) = self.asking.await.unwrap();
        println!("the neighbour: {answers} answers, the longest after {longest:?}");
        assert!(
            answers > 0 && longest < Duration::from_secs(2),
            "{longest:?}"
        );
    }
}

impl Holding {
    fn hold(&self) -> Held {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        Held(self.clone())
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// This process's memory, the service's with it: nextest gives each test a process of its own.
fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
