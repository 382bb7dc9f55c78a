//! What hostile clients do to a port, over real sockets: each is refused or left in time, and nobody else notices.

mod coded;
mod desync;
mod floods;
mod heads;
mod hung;
mod minute;
mod proxied;
mod resets;
mod slow;
mod stalls;
mod tunnels;
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
    /// Another service, which nobody attacks.
    quiet: SocketAddr,
    metrics: Metrics,
    /// Handlers of `/hold` that are at work.
    holding: Holding,
    _running: [Running; 2],
}

/// How many there are, and were at most.
#[derive(Clone, Default)]
struct Holding {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// One of them, until it is dropped.
struct Held(Holding);

/// A client who asks over HTTP/1.1, one request after the other, this service and a quiet one.
struct Neighbour {
    over: Arc<AtomicBool>,
    /// What each answer of the attacked service took, and of the quiet one.
    asking: Task<[Vec<Duration>; 2]>,
}

/// How much slower the p99 of a neighbour's answers may be during an attack.
const SLOWER_MAX: f64 = 1.5;
/// Fewer answers have no p99.
const SAMPLES_MIN: usize = 200;

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
        let quiet = Service::new(super::shop::settings())
            .tokens(Arc::new(Tokens))
            .mount(module(Things::default()));
        let quiet = quiet.start().await.unwrap();
        Self {
            address: running.addresses().public.unwrap(),
            quiet: quiet.addresses().public.unwrap(),
            metrics,
            holding,
            _running: [running, quiet],
        }
    }

    fn connections(&self) -> usize {
        let shown = self.metrics.encode();
        let lines = &mut shown.lines();
        let count = lines.find_map(|line| line.strip_prefix("stanchion_server_connections "));
        count.unwrap().parse().unwrap()
    }

    /// Whether its metrics say all of this.
    fn shows(&self, lines: &[&str]) -> bool {
        let shown = self.metrics.encode();
        lines.iter().all(|line| shown.contains(line))
    }

    /// What it says of connections that it did not take.
    fn refused(&self) -> Vec<String> {
        let shown = self.metrics.encode();
        let of_these = |line: &&str| line.starts_with("stanchion_server_connections_refused_total");
        let lines = shown.lines().filter(of_these);
        lines.map(str::to_owned).collect()
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
        let addresses = [self.address, self.quiet];
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let asking = task::spawn("neighbour", async move {
            let mut lines = [
                Line::open(addresses[0]).await,
                Line::open(addresses[1]).await,
            ];
            let mut times = [Vec::new(), Vec::new()];
            while !told.load(Ordering::Relaxed) {
                // Who is asked first changes: neither always meets what has piled up during the pause.
                let first = times[0].len() % 2;
                for service in [first, 1 - first] {
                    times[service].push(asked(&mut lines[service]).await);
                }
                sleep(Duration::from_millis(2)).await;
            }
            times
        });
        Neighbour { over, asking }
    }
}

/// How long an answer takes.
async fn asked(line: &mut Line) -> Duration {
    let began = Instant::now();
    line.get("/seen").await;
    let (head, _) = line.answer().await.expect("the neighbour is answered");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    began.elapsed()
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
    /// It was answered all the while, and as fast as by a service that nobody attacks: the p99 at most one and a half times
    /// as long.
    ///
    /// The other service runs in this process and is asked in turns with the attacked one, so that a busy machine, and the
    /// attackers, who run here too, make both slow alike: what is compared is what an attack does to its service, not what
    /// it costs the machine. It is measured in three parts of the attack, of which the one in the middle counts; an attack
    /// that is over too soon for that says nothing.
    async fn noticed_nothing(self) {
        self.noticed_less_than(Duration::ZERO).await;
    }

    /// The same where the p99s are further apart than `least`.
    async fn noticed_less_than(self, least: Duration) {
        self.over.store(true, Ordering::Relaxed);
        let [attacked, quiet] = self.asking.await.unwrap();
        let longest = attacked.iter().max().copied().unwrap_or_default();
        println!(
            "the neighbour: {} answers, the longest after {longest:?}",
            attacked.len()
        );
        // A second of a busy machine is a millisecond elsewhere.
        assert!(longest > Duration::ZERO && longest < Duration::from_secs(2));
        let part = attacked.len() / 3;
        if part < SAMPLES_MIN {
            return println!("too few answers to compare");
        }
        let parts = attacked.chunks_exact(part).zip(quiet.chunks_exact(part));
        let mut slower: Vec<_> = parts
            .map(|(attacked, quiet)| slower(p99(attacked), p99(quiet), least))
            .collect();
        slower.sort_by(f64::total_cmp);
        println!("p99 beside that of a quiet service: {slower:.2?}");
        assert!(slower[slower.len() / 2] <= SLOWER_MAX, "{slower:.2?}");
    }
}

/// How many times as long, unless that is less than anybody notices.
fn slower(attacked: Duration, quiet: Duration, least: Duration) -> f64 {
    println!("p99 {attacked:?}, of a quiet service {quiet:?}");
    if attacked.saturating_sub(quiet) < least {
        return 1.0;
    }
    attacked.div_duration_f64(quiet)
}

fn p99(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() * 99 / 100]
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
