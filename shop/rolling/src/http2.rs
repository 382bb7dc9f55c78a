//! A few connections of HTTP/2, many requests at a time on each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use stanchion::runtime::task;
use tokio::sync::Mutex;

use crate::tally::Way;
use crate::targets::Targets;

const CONNECTIONS: usize = 8;
/// So often a request that was never sent looks for another connection.
const MOVES_MAX: u64 = 10;

/// Connections of HTTP/2, with prior knowledge.
pub(crate) struct Http2 {
    pub(crate) targets: Targets,
    slots: [Mutex<Option<Line>>; CONNECTIONS],
    turn: AtomicUsize,
}

#[derive(Clone)]
struct Line {
    sender: SendRequest<Full<Bytes>>,
    target: usize,
    answered: Arc<AtomicBool>,
}

impl Http2 {
    pub(crate) fn new(targets: Targets) -> Self {
        Self {
            targets,
            slots: Default::default(),
            turn: AtomicUsize::new(0),
        }
    }

    /// Sends, until the head of an answer is there.
    pub(crate) async fn send(
        &self,
        request: &Request<Full<Bytes>>,
        way: &mut Way,
    ) -> Result<Response<Incoming>, String> {
        loop {
            if way.moved + way.unaccepted > MOVES_MAX {
                return Err(format!("moved {MOVES_MAX} times"));
            }
            let mut line = self.line().await?;
            match line.sender.try_send_request(request.clone()).await {
                Ok(response) => {
                    line.answered.store(true, Ordering::Relaxed);
                    return Ok(response);
                }
                Err(mut error) => {
                    if error.take_message().is_some() || is_unprocessed(error.error()) {
                        way.moved += 1;
                    } else if self.is_unaccepted(&line) {
                        self.targets.avoid(line.target);
                        way.unaccepted += 1;
                    } else {
                        let (target, error) = (line.target, error.into_error());
                        return Err(format!("of {target}: {error:?}"));
                    }
                }
            }
        }
    }

    fn is_unaccepted(&self, line: &Line) -> bool {
        self.targets.are_several() && !line.answered.load(Ordering::Relaxed)
    }

    /// A connection that takes requests, opened anew where it takes none any more.
    async fn line(&self) -> Result<Line, String> {
        let nth = self.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let mut slot = self.slots[nth].lock().await;
        if let Some(line) = &mut *slot {
            if !line.sender.is_closed() && line.sender.ready().await.is_ok() {
                return Ok(line.clone());
            }
            self.targets.avoid(line.target);
        }
        let opened = self.targets.open().await?;
        let shaken = handshake(TokioExecutor::new(), TokioIo::new(opened.stream)).await;
        let (sender, connection) = shaken.map_err(|error| format!("{error:?}"))?;
        let _driven = task::spawn("connection", async move { drop(connection.await) });
        let line = Line {
            sender,
            target: opened.target,
            answered: Arc::default(),
        };
        *slot = Some(line.clone());
        Ok(line)
    }
}

/// Whether the other side says that nothing was done for the request: GOAWAY names the last one that is served, and this
/// one came later, or it was refused by name. RFC 9113, 8.7: it may be sent again, whatever it asks.
fn is_unprocessed(error: &hyper::Error) -> bool {
    let said = format!("{error:?}");
    let told_to_go = said.contains("GoAway") && said.contains("NO_ERROR");
    (told_to_go || said.contains("REFUSED_STREAM")) && said.contains("Remote")
}
