use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use stanchion_eventsourcing::{OperatedProjection, Position, Verified};
use stanchion_runtime::task::{self, Task};
use stanchion_runtime::{clock, id};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::service::Closer;

/// What works on projections, which may take long: one at a time in a process, each reads a whole log.
///
/// Of every projection the last one is kept, with what came of it, as long as the process lives.
#[derive(Clone, Default)]
pub(super) struct Works(Arc<Inner>);

#[derive(Default)]
struct Inner {
    stop: CancellationToken,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    running: Option<Running>,
    /// As many as there are projections.
    last: HashMap<Of, Work>,
}

struct Running {
    of: Of,
    task: Task<()>,
}

/// Whose: the module's name and the projection's.
pub(super) type Of = (&'static str, &'static str);

/// A rebuild or a verification that was asked for through the port.
#[derive(Clone, Serialize)]
pub(super) struct Work {
    id: Uuid,
    kind: Kind,
    started_at: Timestamp,
    #[serde(flatten)]
    state: State,
}

/// What is done with the whole log.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Rebuild,
    Verify,
}

/// How it is with a work.
#[derive(Clone, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum State {
    Running,
    Rebuilt {
        position: Position,
        ended_at: Timestamp,
    },
    Verified {
        verified: Verified,
        ended_at: Timestamp,
    },
    Failed {
        error: String,
        ended_at: Timestamp,
    },
}

/// Why a work was not begun.
pub(super) enum NotBegun {
    /// What is under way.
    Busy(String),
    /// The service is about to end.
    Stopping,
}

impl Works {
    /// Begins a work, which goes on by itself until it is through or the service stops.
    pub(super) fn begin(
        &self,
        module: &'static str,
        projection: Arc<dyn OperatedProjection>,
        kind: Kind,
    ) -> Result<Work, NotBegun> {
        let mut books = self.0.books.lock();
        // Below the lock: the closer cancels first and then looks for what runs.
        if self.0.stop.is_cancelled() {
            return Err(NotBegun::Stopping);
        }
        if let Some(under_way) = books.under_way() {
            return Err(NotBegun::Busy(under_way));
        }
        let of = (module, projection.name());
        let work = Work {
            id: id::new_v7(),
            kind,
            started_at: clock::now(),
            state: State::Running,
        };
        books.last.insert(of, work.clone());
        let works = self.clone();
        let task = task::spawn("projection-work", async move {
            let state = tokio::select! {
                () = works.0.stop.cancelled() => failed("the service stopped".into()),
                state = kind.done(&*projection) => state,
            };
            works.end(of, state);
        });
        books.running = Some(Running { of, task });
        Ok(work)
    }

    /// The last work on that projection.
    pub(super) fn last(&self, of: Of) -> Option<Work> {
        self.0.books.lock().last.get(&of).cloned()
    }

    /// Whether that is what is being done.
    pub(super) fn is_at(&self, of: Of, kind: Kind) -> bool {
        let books = self.0.books.lock();
        let at_it = books.running.as_ref().is_some_and(|work| work.of == of);
        at_it && books.last.get(&of).is_some_and(|work| work.kind == kind)
    }

    /// Ends what is under way. A rebuild is taken up again at the next start.
    pub(super) fn closer(&self) -> Closer {
        let works = self.clone();
        Closer {
            name: "work on projections",
            close: Box::new(move || Box::pin(async move { works.close().await })),
        }
    }

    async fn close(&self) {
        self.0.stop.cancel();
        let running = self.0.books.lock().running.take();
        if let Some(running) = running {
            let _ = running.task.await;
        }
    }

    fn end(&self, of: Of, state: State) {
        let mut books = self.0.books.lock();
        books.running = None;
        if let Some(work) = books.last.get_mut(&of) {
            work.state = state;
        }
    }
}

impl Books {
    fn under_way(&self) -> Option<String> {
        let (module, projection) = self.running.as_ref()?.of;
        let work = self.last.get(&(module, projection))?;
        let (kind, since) = (work.kind.noun(), work.started_at);
        Some(format!(
            "a {kind} of {module}/{projection} is under way since {since}: one at a time"
        ))
    }
}

impl Kind {
    fn noun(self) -> &'static str {
        match self {
            Self::Rebuild => "rebuild",
            Self::Verify => "verification",
        }
    }

    /// Does it; a panic in it is its own failure, not the service's.
    async fn done(self, projection: &dyn OperatedProjection) -> State {
        let doing = AssertUnwindSafe(self.work(projection)).catch_unwind();
        match doing.await {
            Ok(Ok(state)) => state,
            Ok(Err(error)) => failed(error),
            Err(panic) => failed(format!("it panicked: {}", task::panic_text(&*panic))),
        }
    }

    async fn work(self, projection: &dyn OperatedProjection) -> Result<State, String> {
        match self {
            Self::Rebuild => {
                let position = projection.rebuild().await?;
                let ended_at = clock::now();
                Ok(State::Rebuilt { position, ended_at })
            }
            Self::Verify => {
                let verified = projection.verify().await?;
                let ended_at = clock::now();
                Ok(State::Verified { verified, ended_at })
            }
        }
    }
}

fn failed(error: String) -> State {
    State::Failed {
        error,
        ended_at: clock::now(),
    }
}
