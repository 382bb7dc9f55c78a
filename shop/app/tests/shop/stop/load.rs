//! Connections that are never idle, each a plain hyper connection: nothing is retried behind our back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 8;

/// Streams at the same time on a connection of HTTP/2.
const STREAMS: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Clients that ask without a pause until the shop does not take connections any more.
pub(super) struct Load {
    clients: JoinSet<()>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) answered: u64,
    pub(super) told_to_go: u64,
    /// Requests on accepted connections that got no answer, or a bad one.
    pub(super) failures: Vec<String>,
}

struct Shared {
    address: String,
    token: String,
    ending: AtomicBool,
    answered: AtomicU64,
    told_to_go: AtomicU64,
    number: AtomicU64,
    failures: parking_lot::Mutex<Vec<String>>,
}

impl Load {
    pub(super) fn begin(address: &str, token: &str, protocol: Protocol) -> Self {
        let shared = Arc::new(Shared {
            address: address.to_owned(),
            token: token.to_owned(),
            ending: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            told_to_go: AtomicU64::new(0),
            number: AtomicU64::new(0),
            failures: parking_lot::Mutex::default(),
        });
        let mut clients = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let shared = Arc::clone(&shared);
            clients.spawn(async move {
                while !shared.ending.load(Ordering::Relaxed) {
                    let Ok(stream) = TcpStream::connect(&shared.address).await else {
                        return;
                    };
                    match protocol {
                        Protocol::Http1 => shared.http1(stream).await,
                        Protocol::Http2 => shared.http2(stream).await,
                    }
                }
            });
        }
        Self { clients, shared }
    }

    /// How many requests were answered so far.
    pub(super) fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    pub(super) async fn end(self) -> Outcome {
        self.shared.ending.store(true, Ordering::Relaxed);
        self.clients.join_all().await;
        Outcome {
            answered: self.shared.answered.load(Ordering::Relaxed),
            told_to_go: self.shared.told_to_go.load(Ordering::Relaxed),
            failures: self.shared.failures.lock().clone(),
        }
    }
}

impl Shared {
    /// One request after the other, until the server says that this was the last.
    async fn http1(&self, stream: TcpStream) {
        let Ok((mut sender, connection)) = http1::handshake(TokioIo::new(stream)).await else {
            return;
        };
        let talk = async move {
            let mut answers = 0_u32;
            loop {
                let close = match sender.send_request(self.request("http1")).await {
                    Ok(response) => {
                        response
                            .headers()
                            .get("connection")
                            .is_some_and(|value| value == "close")
                            | !self.judge(response).await
                    }
                    Err(error) => return self.broken(answers, &error),
                };
                answers += 1;
                if close {
                    self.told_to_go.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        };
        tokio::join!(async { drop(connection.await) }, talk);
    }

    /// Several at once, until the server says that it takes no more.
    async fn http2(self: &Arc<Self>, stream: TcpStream) {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let Ok((sender, connection)) = handshake else {
            return;
        };
        let mut streams = JoinSet::new();
        for _ in 0..STREAMS {
            let (shared, mut sender) = (Arc::clone(self), sender.clone());
            streams.spawn(async move {
                let mut answers = 0_u32;
                while sender.ready().await.is_ok() {
                    match sender.send_request(shared.request("http2")).await {
                        Ok(response) => drop(shared.judge(response).await),
                        // Never sent: the connection was closing.
                        Err(error) if error.is_canceled() => break,
                        Err(error) => return shared.broken(answers, &error),
                    }
                    answers += 1;
                }
                shared.told_to_go.fetch_add(1, Ordering::Relaxed);
            });
        }
        drop(sender);
        tokio::join!(async { drop(connection.await) }, async {
            drop(streams.join_all().await)
        });
    }

    /// Nine reads and an order.
    fn request(&self, protocol: &str) -> Request<Full<Bytes>> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let base = if protocol == "http2" {
            format!("http://{}", self.address)
        } else {
            String::new()
        };
        let request = Request::builder()
            .header("host", &self.address)
            .header("authorization", format!("Bearer {}", self.token));
        if !number.is_multiple_of(10) {
            return request
                .uri(format!("{base}/api/v1/products/KETTLE"))
                .body(Full::default())
                .unwrap();
        }
        let order =
            r#"{"items": [{"sku": "MUG-BLUE", "quantity": 1}], "payment_method": "pm_card_visa"}"#;
        let request = request.method("POST").uri(format!("{base}/api/v1/orders"));
        let request = request.header("idempotency-key", format!("k-{number}"));
        request
            .header("content-type", "application/json")
            .body(Full::from(order))
            .unwrap()
    }

    /// Reads the whole answer; false if it was no good one.
    async fn judge(&self, response: Response<Incoming>) -> bool {
        let status = response.status().as_u16();
        match response.into_body().collect().await {
            Ok(_) if status < 300 => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                true
            }
            Ok(body) => {
                let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
                self.failures.lock().push(format!("{status}: {text}"));
                false
            }
            Err(error) => {
                self.failures
                    .lock()
                    .push(format!("{status}, and half a body: {error}"));
                false
            }
        }
    }

    /// A connection that never answered may have waited in the backlog: it was not accepted.
    fn broken(&self, answers: u32, error: &hyper::Error) {
        if answers > 0 {
            self.failures
                .lock()
                .push(format!("after {answers} answers: {error:?}"));
        }
    }
}
