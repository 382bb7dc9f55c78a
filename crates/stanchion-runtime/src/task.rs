//! Tasks, blocking work and threads, each with a name, none losing its panic.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::{JoinError, JoinHandle};
use tracing::{Instrument, Span};

/// A spawned piece of work; awaiting it gives what the work returned.
///
/// Dropping a `Task` does not stop the work, it goes on unobserved; [`Task::abort`] stops it.
#[derive(Debug)]
pub struct Task<T> {
    name: &'static str,
    handle: JoinHandle<T>,
}

/// Why a [`Task`] gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskFailed {
    /// The work panicked; the panic hook has logged where.
    #[error("task `{name}` panicked: {text}")]
    Panicked {
        /// The task's name.
        name: &'static str,
        /// What the panic said.
        text: String,
    },
    /// The work was aborted, or its runtime ended first.
    #[error("task `{name}` was cancelled")]
    Cancelled {
        /// The task's name.
        name: &'static str,
    },
}

/// Runs `future` on the current runtime, within the current tracing span.
///
/// # Panics
/// Outside a tokio runtime, as `tokio::spawn` does.
pub fn spawn<T: Send + 'static>(
    name: &'static str,
    future: impl Future<Output = T> + Send + 'static,
) -> Task<T> {
    spawn_apart(name, future.in_current_span())
}

/// Runs `future` on the current runtime, outside any span: for work that is not one request's.
///
/// # Panics
/// Outside a tokio runtime, as `tokio::spawn` does.
pub fn spawn_apart<T: Send + 'static>(
    name: &'static str,
    future: impl Future<Output = T> + Send + 'static,
) -> Task<T> {
    #[allow(clippy::disallowed_methods, reason = "the one place that spawns")]
    let handle = tokio::spawn(future);
    Task { name, handle }
}

/// Runs `work` on a thread where blocking is allowed, within the current tracing span.
///
/// Work that has begun cannot be aborted. For work that lasts as long as the process, take [`thread`].
///
/// # Panics
/// Outside a tokio runtime, as `tokio::task::spawn_blocking` does.
pub fn blocking<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Task<T> {
    let span = Span::current();
    #[allow(clippy::disallowed_methods, reason = "the one place that spawns")]
    let handle = tokio::task::spawn_blocking(move || span.in_scope(work));
    Task { name, handle }
}

/// Starts an operating system thread of that name, outside any span.
///
/// # Panics
/// When the operating system refuses another thread, as `std::thread::spawn` does.
pub fn thread<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .expect("the operating system gives another thread")
}

impl<T> Task<T> {
    /// The name given when it was spawned.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Asks the work to stop at its next await; awaiting it then gives [`TaskFailed::Cancelled`].
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Whether the work has ended, in whatever way.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskFailed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let name = self.name;
        Pin::new(&mut self.handle)
            .poll(context)
            .map_err(|error| TaskFailed::from_join(name, error))
    }
}

impl TaskFailed {
    fn from_join(name: &'static str, error: JoinError) -> Self {
        match error.try_into_panic() {
            Ok(payload) => TaskFailed::Panicked {
                name,
                text: panic_text(payload.as_ref()).to_owned(),
            },
            Err(_) => TaskFailed::Cancelled { name },
        }
    }
}

/// What a caught panic said, or a placeholder when it carried no text.
#[must_use]
pub fn panic_text(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "(a panic without text)"
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tracing_subscriber::Registry;

    use super::*;

    #[tokio::test]
    async fn a_task_returns_what_its_work_returned() {
        assert_eq!(spawn("seven", async { 7 }).await, Ok(7));
        assert_eq!(blocking("seven", || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_told_with_name_and_text() {
        let failed = spawn("fragile", async { panic!("out of {}", "luck") }).await;
        assert_eq!(
            failed,
            Err(TaskFailed::Panicked {
                name: "fragile",
                text: "out of luck".into()
            })
        );
        let failed = blocking("fragile", || panic!("plain")).await;
        assert_eq!(
            failed.unwrap_err().to_string(),
            "task `fragile` panicked: plain"
        );
    }

    #[tokio::test]
    async fn an_aborted_task_is_cancelled() {
        let task = spawn("endless", std::future::pending::<()>());
        task.abort();
        assert_eq!(task.await, Err(TaskFailed::Cancelled { name: "endless" }));
    }

    #[tokio::test]
    async fn a_dropped_task_goes_on() {
        let (sender, receiver) = oneshot::channel();
        drop(spawn("left alone", async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            sender.send(7)
        }));
        assert_eq!(receiver.await, Ok(7));
    }

    #[tokio::test]
    async fn work_runs_in_the_span_it_was_spawned_in() {
        let _subscriber = tracing::subscriber::set_default(Registry::default());
        let span = tracing::info_span!("request");
        let task = span.in_scope(|| spawn("inner", async { Span::current().id() }));
        assert_eq!(task.await, Ok(span.id()));
        let apart = span.in_scope(|| spawn_apart("shared", async { Span::current().id() }));
        assert_eq!(apart.await, Ok(None));
    }

    #[test]
    fn a_thread_carries_its_name() {
        let name = thread("writer", || {
            std::thread::current().name().map(str::to_owned)
        })
        .join();
        assert_eq!(name.unwrap().as_deref(), Some("writer"));
    }
}
