//! An append whose outcome is unknown stays unknown until the log says what became of it.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use stanchion_eventsourcing::{
    Aggregate, Altered, Alters, Append, AppendError, Appended, EventLog, ExecuteError, MemoryLog,
    Metadata, Position, Repository,
};

#[derive(Clone, Default)]
struct Counter {
    count: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum Event {
    Counted,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("never")]
struct Never;

impl Aggregate for Counter {
    const CATEGORY: &'static str = "counter";
    type Command = ();
    type Event = Event;
    type Refusal = Never;

    fn decide(&self, (): &()) -> Result<Vec<Event>, Never> {
        Ok(vec![Event::Counted])
    }

    fn evolve(&mut self, Event::Counted: &Event) {
        self.count += 1;
    }
}

/// What the log says to an append, and whether it does it nonetheless.
enum Says {
    /// Done, but the answer was lost.
    LostAfter,
    /// Not done, and nobody knows.
    LostBefore,
    Overloaded,
    Unavailable,
    /// A projection in its transaction refuses it.
    Invalid,
    /// What is so.
    Truth,
}

/// A log that answers appends by a script, and truthfully after its end.
struct Scripted {
    log: MemoryLog,
    script: Mutex<VecDeque<Says>>,
}

#[async_trait]
impl Alters for Scripted {
    fn inner(&self) -> &dyn EventLog {
        &self.log
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let says = self.script.lock().pop_front().unwrap_or(Says::Truth);
        match says {
            Says::Truth => self.log.append(append).await,
            Says::LostAfter => {
                self.log.append(append).await?;
                Err(AppendError::Unknown)
            }
            Says::LostBefore => Err(AppendError::Unknown),
            Says::Overloaded => Err(AppendError::Overloaded),
            Says::Unavailable => Err(AppendError::Unavailable("gone".into())),
            Says::Invalid => Err(AppendError::Invalid("such a row exists".into())),
        }
    }
}

fn counters(
    script: impl IntoIterator<Item = Says>,
) -> (Arc<Altered<Scripted>>, Repository<Counter>) {
    let log = Arc::new(Altered(Scripted {
        log: MemoryLog::new(),
        script: Mutex::new(script.into_iter().collect()),
    }));
    let counters = Repository::new(Arc::clone(&log) as Arc<dyn EventLog>);
    (log, counters)
}

#[tokio::test(start_paused = true)]
async fn an_unknown_append_is_asked_about_until_the_log_knows_and_counts_once() {
    let cases: [fn() -> Vec<Says>; 4] = [
        || vec![Says::LostAfter],
        || vec![Says::LostBefore],
        || vec![Says::LostAfter, Says::Overloaded, Says::Unavailable],
        || vec![Says::LostBefore, Says::Unavailable, Says::LostAfter],
    ];
    for script in cases {
        let (log, counters) = counters(script());
        let done = counters.execute("a", &(), &Metadata::new(None)).await;
        let done = done.unwrap();
        assert_eq!((done.state.count, done.position), (1, Position(1)));
        assert_eq!(log.head().await.unwrap(), Position(1), "written once");
        assert!(log.script.lock().is_empty(), "asked to the script's end");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_be_written_is_never_answered_with_overloaded() {
    let overloaded = || (0..100).map(|_| Says::Overloaded);
    let (log, unlucky) = counters(std::iter::once(Says::LostAfter).chain(overloaded()));
    let answer = unlucky.execute("a", &(), &Metadata::new(None)).await;
    let said = answer.err().unwrap();
    assert!(
        matches!(&said, ExecuteError::Unavailable(reason) if reason.contains("unknown")),
        "{said:?}"
    );
    assert_eq!(log.head().await.unwrap(), Position(1), "it was written");

    let (log, plain) = counters(overloaded());
    let answer = plain.execute("a", &(), &Metadata::new(None)).await;
    assert!(matches!(answer, Err(ExecuteError::Overloaded)));
    assert_eq!(log.head().await.unwrap(), Position::START);
}

#[tokio::test(start_paused = true)]
async fn what_the_log_will_never_take_is_not_told_as_an_outage() {
    let (log, counters) = counters([Says::Invalid]);
    let answer = counters.execute("a", &(), &Metadata::new(None)).await;
    let said = answer.err().unwrap();
    assert!(
        matches!(&said, ExecuteError::Invalid(reason) if reason.contains("such a row")),
        "{said:?}"
    );
    assert_eq!(log.head().await.unwrap(), Position::START);
}
