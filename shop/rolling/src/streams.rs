//! Streams that last until the service ends them, and are opened again.

use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use crate::ask::Asks;
use crate::http1::Http1;
use crate::http2::Http2;
use crate::tally::{Good, Tally, Way};

/// Streams of one kind.
pub(crate) struct Streams {
    pub(crate) tally: Arc<Tally>,
    over: Over,
    asks: Arc<Asks>,
}

enum Over {
    Grpc(Arc<Http2>),
    Events(Arc<Http1>),
}

/// Of gRPC: they end with `UNAVAILABLE` only.
pub(crate) fn calls(http2: &Arc<Http2>, asks: &Arc<Asks>) -> Streams {
    Streams {
        tally: Tally::new("gRPC streams"),
        over: Over::Grpc(Arc::clone(http2)),
        asks: Arc::clone(asks),
    }
}

/// Server-sent events over HTTP/1.1: they end whole, so that the client comes back.
pub(crate) fn events(http1: &Arc<Http1>, asks: &Arc<Asks>) -> Streams {
    Streams {
        tally: Tally::new("server-sent events"),
        over: Over::Events(Arc::clone(http1)),
        asks: Arc::clone(asks),
    }
}

impl Streams {
    /// Opens one after the other, until told to end.
    pub(crate) async fn follow_until(self: Arc<Self>, closing: CancellationToken) {
        while !closing.is_cancelled() {
            let mut way = Way::default();
            let outcome = tokio::select! {
                // What is open then is as good as answered.
                () = closing.cancelled() => Ok(Good::Answered),
                outcome = self.follow(&mut way) => outcome,
            };
            self.tally.note(None, &way, outcome);
        }
    }

    async fn follow(&self, way: &mut Way) -> Result<Good, String> {
        match &self.over {
            Over::Grpc(http2) => {
                let request = self.asks.watch_call(http2.targets.authority());
                let response = http2.send(&request, way).await?;
                let head = response.headers().get("grpc-status").cloned();
                if response.status() != 200 {
                    return Err(response.status().to_string());
                }
                let (messages, trailers) = read(response.into_body()).await?;
                let status = trailers.as_ref().and_then(|all| all.get("grpc-status"));
                match status.or(head.as_ref()) {
                    Some(status) if status == "14" => Ok(Good::Ended),
                    status => Err(format!("after {messages} messages grpc-status {status:?}")),
                }
            }
            Over::Events(http1) => {
                let request = self.asks.watch_events(http1.targets.authority());
                let answering = http1.send(&request, way).await?;
                let status = answering.response.status().as_u16();
                let body = http1.read(answering).await?.1;
                if status == 200 {
                    return Ok(Good::Ended);
                }
                Err(format!("{status}: {}", String::from_utf8_lossy(&body)))
            }
        }
    }
}

async fn read(mut body: Incoming) -> Result<(u64, Option<http::HeaderMap>), String> {
    let mut messages = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("cut after {messages} messages: {error:?}"))?;
        match frame.into_trailers() {
            Ok(trailers) => return Ok((messages, Some(trailers))),
            Err(_) => messages += 1,
        }
    }
    Ok((messages, None))
}
