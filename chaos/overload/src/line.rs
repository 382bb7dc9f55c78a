//! Connections to the service, HTTP/2, each made again when it is gone.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use stanchion_runtime::task;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

type Sender = SendRequest<Full<Bytes>>;

/// The connections, taken in turns.
pub(crate) struct Lines {
    authority: String,
    lines: Vec<Mutex<Option<Sender>>>,
    next: AtomicUsize,
    posted: AtomicU32,
}

impl Lines {
    pub(crate) fn new(url: &str, count: usize) -> anyhow::Result<Self> {
        let uri: Uri = url.parse()?;
        let authority = uri.authority().context("a URL with a host and a port")?;
        Ok(Self {
            authority: authority.to_string(),
            lines: (0..count).map(|_| Mutex::default()).collect(),
            next: AtomicUsize::new(0),
            posted: AtomicU32::new(0),
        })
    }

    pub(crate) async fn send(&self, path: &str) -> anyhow::Result<Response<Incoming>> {
        let request = Request::get(format!("http://{}{path}", self.authority));
        self.take(request.body(Full::default())?).await
    }

    /// Posts JSON as another client each time: one of 65,536 behind a proxy.
    pub(crate) async fn post(&self, path: &str, body: &str) -> anyhow::Result<Response<Incoming>> {
        let number = self.posted.fetch_add(1, Ordering::Relaxed);
        let [_, _, high, low] = number.to_be_bytes();
        let body = body.replace("{n}", &number.to_string());
        let request = Request::post(format!("http://{}{path}", self.authority))
            .header("content-type", "application/json")
            .header("x-forwarded-for", format!("10.0.{high}.{low}"))
            .body(Full::from(body))?;
        self.take(request).await
    }

    async fn take(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.lines.len();
        let mut sender = self.sender(turn).await?;
        Ok(sender.send_request(request).await?)
    }

    async fn sender(&self, turn: usize) -> anyhow::Result<Sender> {
        let mut held = self.lines[turn].lock().await;
        if let Some(sender) = held.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // It ends with the sender; what goes wrong is told there.
        let _driven = task::spawn("line", async move { drop(connection.await) });
        *held = Some(sender.clone());
        Ok(sender)
    }
}
