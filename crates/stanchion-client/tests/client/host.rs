//! A host that answers as it is told, and counts what comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use stanchion_client::{ClientSettings, Discovery, HttpClient};
use stanchion_resilience::policy::PolicySettings;
use stanchion_runtime::task::{Task, spawn};
use stanchion_telemetry::Metrics;
use tokio::net::TcpListener;

type Answer = Arc<dyn Fn(usize, &Request) -> Response + Send + Sync>;

/// HTTP/1.1 and HTTP/2 without TLS, on a loopback port of its own.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    told: Arc<Told>,
    task: Task<()>,
}

struct Told {
    answer: Mutex<Answer>,
    takes: Mutex<Duration>,
    calls: AtomicUsize,
    running: AtomicUsize,
    heads: Mutex<Vec<HeaderMap>>,
}

impl Host {
    pub(crate) async fn start() -> Self {
        let told = Arc::new(Told {
            answer: Mutex::new(Arc::new(|_, _| "ok".into_response())),
            takes: Mutex::default(),
            calls: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            heads: Mutex::default(),
        });
        let router = axum::Router::new()
            .fallback(serve)
            .with_state(Arc::clone(&told));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = spawn("host", async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            address,
            told,
            task,
        }
    }

    /// Answers so from now on; the first argument counts the calls from 0.
    pub(crate) fn answer<R: IntoResponse>(
        &self,
        answer: impl Fn(usize, &Request) -> R + Send + Sync + 'static,
    ) {
        *self.told.answer.lock() =
            Arc::new(move |nth, request| answer(nth, request).into_response());
    }

    pub(crate) fn status(&self, status: u16) {
        self.answer(move |_, _| StatusCode::from_u16(status).unwrap());
    }

    pub(crate) fn takes(&self, time: Duration) {
        *self.told.takes.lock() = time;
    }

    pub(crate) fn calls(&self) -> usize {
        self.told.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn running(&self) -> usize {
        self.told.running.load(Ordering::SeqCst)
    }

    pub(crate) fn heads(&self) -> Vec<HeaderMap> {
        self.told.heads.lock().clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn client(&self, settings: &ClientSettings) -> HttpClient {
        HttpClient::new("stub", &self.url(), settings, &Metrics::default()).unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Running(Arc<Told>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(State(told): State<Arc<Told>>, request: Request) -> Response {
    let nth = told.calls.fetch_add(1, Ordering::SeqCst);
    told.running.fetch_add(1, Ordering::SeqCst);
    let _running = Running(Arc::clone(&told));
    told.heads.lock().push(request.headers().clone());
    let (takes, answer) = (*told.takes.lock(), told.answer.lock().clone());
    if !takes.is_zero() {
        tokio::time::sleep(takes).await;
    }
    answer(nth, &request)
}

/// One client of all these hosts.
pub(crate) fn of_all(hosts: &[&Host], settings: &ClientSettings, metrics: &Metrics) -> HttpClient {
    let addresses = Discovery::fixed(hosts.iter().map(|host| host.address));
    HttpClient::with_discovery("stub", "http://stub.test", addresses, settings, metrics).unwrap()
}

/// Defaults, with waits that suit a test.
pub(crate) fn quick() -> ClientSettings {
    ClientSettings {
        policy: policy(),
        ..ClientSettings::default()
    }
}

fn policy() -> PolicySettings {
    let mut policy = PolicySettings::default();
    policy.retry.base = Duration::from_millis(1);
    policy.retry.base_throttled = Duration::from_millis(1);
    policy.hedge_on = false;
    policy
}

/// Until it holds, for a while.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not so after 5 s: {what}");
}

/// What a body is that never ends.
pub(crate) fn endless() -> Body {
    Body::from_stream(futures_util::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >())
}
