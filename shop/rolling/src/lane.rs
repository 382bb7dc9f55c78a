//! Requests that have their times.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::ask::Asks;
use crate::http1::Http1;
use crate::http2::Http2;
use crate::tally::{Good, Tally, Way};

/// Unanswered at the same time; one more is a failure of whoever does not answer.
const OPEN_MAX: usize = 2_000;
/// How long a client waits for its order to settle; the gateway is slower.
const WAIT_SECONDS: u64 = 8;

/// What a lane speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    Grpc,
    /// Orders over HTTP/1.1 with `Prefer: wait`.
    Waiting,
}

/// Requests of one protocol, at a rate.
pub(crate) struct Lane {
    pub(crate) tally: Arc<Tally>,
    protocol: Protocol,
    http1: Arc<Http1>,
    http2: Arc<Http2>,
    asks: Arc<Asks>,
}

impl Lane {
    pub(crate) fn new(
        protocol: Protocol,
        http1: &Arc<Http1>,
        http2: &Arc<Http2>,
        asks: &Arc<Asks>,
    ) -> Self {
        let name = match protocol {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
            Protocol::Grpc => "gRPC unary",
            Protocol::Waiting => "Prefer: wait",
        };
        Self {
            tally: Tally::new(name),
            protocol,
            http1: Arc::clone(http1),
            http2: Arc::clone(http2),
            asks: Arc::clone(asks),
        }
    }

    /// So many a second, until told to end; what is under way then is waited for.
    pub(crate) async fn ask_until(self, closing: CancellationToken, rate: f64) {
        let lane = Arc::new(self);
        let began = Instant::now();
        let mut open = JoinSet::new();
        for number in 0_u64.. {
            let due = began + Duration::from_secs_f64(number as f64 / rate);
            tokio::select! {
                () = closing.cancelled() => break,
                () = sleep_until(due) => {}
            }
            while let Some(ended) = open.try_join_next() {
                lane.note_ended(ended);
            }
            if open.len() >= OPEN_MAX {
                let failed = Err(format!("{OPEN_MAX} are not answered"));
                lane.tally.note(None, &Way::default(), failed);
                continue;
            }
            let lane = Arc::clone(&lane);
            open.spawn(async move {
                let mut way = Way::default();
                let outcome = lane.ask(number, &mut way).await;
                // Who waits on purpose says nothing of how fast answers are.
                let due = (lane.protocol != Protocol::Waiting).then_some(due);
                lane.tally.note(due, &way, outcome);
            });
        }
        while let Some(ended) = open.join_next().await {
            lane.note_ended(ended);
        }
    }

    /// What ended has counted itself, unless it panicked.
    fn note_ended(&self, ended: Result<(), JoinError>) {
        if let Err(error) = ended {
            self.tally
                .note(None, &Way::default(), Err(error.to_string()));
        }
    }

    async fn ask(&self, number: u64, way: &mut Way) -> Result<Good, String> {
        match self.protocol {
            Protocol::Http1 => {
                let authority = self.http1.targets.authority();
                let request = self.asks.rest("http1", number, authority);
                let (status, body) = self.http1.ask(&request, way).await?;
                good(status, &body)
            }
            Protocol::Http2 => {
                let authority = self.http2.targets.authority();
                let request = self.asks.rest("http2", number, authority);
                let response = self.http2.send(&request, way).await?;
                let status = response.status().as_u16();
                let body = response.into_body().collect().await;
                let body = body.map_err(|error| format!("{status}, and half a body: {error:?}"))?;
                good(status, &body.to_bytes())
            }
            Protocol::Grpc => self.call(number, way).await,
            Protocol::Waiting => {
                let authority = self.http1.targets.authority();
                let request = self.asks.waiting(number, authority, WAIT_SECONDS);
                let began = Instant::now();
                let (status, body) = self.http1.ask(&request, way).await?;
                let early = began.elapsed() < Duration::from_secs(WAIT_SECONDS - 1);
                // Accepted before its time is over: the service stops, and answers as things stand.
                if status == 202 && early {
                    return Ok(Good::Ended);
                }
                good(status, &body)
            }
        }
    }

    async fn call(&self, number: u64, way: &mut Way) -> Result<Good, String> {
        let request = self.asks.call(number, self.http2.targets.authority());
        let response = self.http2.send(&request, way).await?;
        let head = response.headers().get("grpc-status").cloned();
        if response.status() != 200 {
            return Err(response.status().to_string());
        }
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| format!("half an answer: {error:?}"))?;
        let trailers = body
            .trailers()
            .and_then(|trailers| trailers.get("grpc-status"));
        match trailers.or(head.as_ref()) {
            Some(status) if status == "0" => Ok(Good::Answered),
            status => Err(format!("grpc-status {status:?}")),
        }
    }
}

fn good(status: u16, body: &[u8]) -> Result<Good, String> {
    if (200..300).contains(&status) {
        return Ok(Good::Answered);
    }
    let body: String = String::from_utf8_lossy(body).chars().take(200).collect();
    Err(format!("{status}: {body}"))
}
