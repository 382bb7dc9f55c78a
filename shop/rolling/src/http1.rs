//! Kept connections of HTTP/1.1, one request at a time on each.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use stanchion::runtime::task;
use tokio::time::Instant;

use crate::tally::Way;
use crate::targets::Targets;

/// So often a request that was never sent looks for another connection.
const MOVES_MAX: u64 = 10;

/// A connection that was not used for so long is not used again: the service may close it at any time (RFC 9112, 9.5),
/// and says so before only to those who ask. Shorter than any lame duck.
const IDLE_MAX: Duration = Duration::from_secs(1);

/// Connections of HTTP/1.1.
pub(crate) struct Http1 {
    pub(crate) targets: Targets,
    /// The one that was used longest ago first: each is used often enough to be told that it has to go.
    idle: Mutex<VecDeque<Line>>,
}

struct Line {
    sender: SendRequest<Full<Bytes>>,
    target: usize,
    answers: u64,
    used_at: Instant,
}

/// An answer whose body is still to be read.
pub(crate) struct Answering {
    pub(crate) response: Response<Incoming>,
    line: Line,
    closes: bool,
}

impl Http1 {
    pub(crate) fn new(targets: Targets) -> Self {
        Self {
            targets,
            idle: Mutex::default(),
        }
    }

    /// Asks and reads the whole answer: its status and body.
    pub(crate) async fn ask(
        &self,
        request: &Request<Full<Bytes>>,
        way: &mut Way,
    ) -> Result<(u16, Bytes), String> {
        let answering = self.send(request, way).await?;
        self.read(answering).await
    }

    /// Sends, until the head of an answer is there.
    pub(crate) async fn send(
        &self,
        request: &Request<Full<Bytes>>,
        way: &mut Way,
    ) -> Result<Answering, String> {
        // The authority is in the header; before the path it would stand for a proxy.
        let mut request = request.clone();
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
        loop {
            if way.moved + way.unaccepted > MOVES_MAX {
                return Err(format!("moved {MOVES_MAX} times"));
            }
            let mut line = self.line().await?;
            match line.sender.try_send_request(request.clone()).await {
                Ok(response) => {
                    line.answers += 1;
                    let closes = response.headers().get(CONNECTION);
                    let closes = closes.is_some_and(|value| value == "close");
                    if closes {
                        self.targets.avoid(line.target);
                    }
                    return Ok(Answering {
                        response,
                        line,
                        closes,
                    });
                }
                Err(mut error) => {
                    let (answers, target) = (line.answers, line.target);
                    if error.take_message().is_some() {
                        way.moved += 1;
                    } else if answers == 0 && self.targets.are_several() {
                        self.targets.avoid(target);
                        way.unaccepted += 1;
                    } else {
                        let error = error.into_error();
                        return Err(format!("of {target} after {answers} answers: {error:?}"));
                    }
                }
            }
        }
    }

    /// Reads an answer to its end.
    pub(crate) async fn read(&self, answering: Answering) -> Result<(u16, Bytes), String> {
        let Answering {
            response,
            mut line,
            closes,
        } = answering;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| format!("{status}, and half a body: {error:?}"))?;
        if !closes {
            line.used_at = Instant::now();
            self.idle.lock().push_back(line);
        }
        Ok((status, body.to_bytes()))
    }

    async fn line(&self) -> Result<Line, String> {
        loop {
            let Some(mut line) = self.idle.lock().pop_front() else {
                break;
            };
            // It is closed already, or has yet to notice that its last answer is over.
            let fresh = line.used_at.elapsed() < IDLE_MAX;
            if fresh && line.sender.ready().await.is_ok() {
                return Ok(line);
            }
        }
        let opened = self.targets.open().await?;
        let shaken = handshake(TokioIo::new(opened.stream)).await;
        let (sender, connection) = shaken.map_err(|error| format!("{error:?}"))?;
        let _driven = task::spawn("connection", async move { drop(connection.await) });
        Ok(Line {
            sender,
            target: opened.target,
            answers: 0,
            used_at: Instant::now(),
        })
    }
}
