use std::time::Duration;

use stanchion::eventsourcing::{Expected, Metadata, NewEvent, Position};
use stanchion::runtime::random;
use stanchion::sql::{Db, Query, SqlError, UnitOfWork};

use super::Failure;
use crate::domain::Event;

/// How often a unit of work is tried that collides with others.
const ATTEMPTS_MAX: u32 = 5;

/// The longest wait before the second attempt; it doubles with each.
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// Rows and events that commit together; dropped, nothing happened.
pub(super) struct Work<'a> {
    unit: UnitOfWork,
    metadata: &'a Metadata,
}

impl<'a> Work<'a> {
    /// Begins; nothing is sent before the first statement.
    pub(super) fn begin(db: &Db, metadata: &'a Metadata) -> Self {
        Self {
            unit: UnitOfWork::begin(db),
            metadata,
        }
    }

    pub(super) fn rows(&self) -> &dyn Query {
        &self.unit
    }

    pub(super) fn record(&mut self, event: &Event) -> Result<(), Failure> {
        let new = NewEvent::of(event).map_err(|error| Failure::Broken(error.to_string()))?;
        self.unit
            .record(event.stream(), Expected::Any, vec![new], self.metadata);
        Ok(())
    }

    /// Commits; where the events ended up, if there were any.
    pub(super) async fn commit(self) -> Result<Option<Position>, Failure> {
        Ok(self.unit.commit().await?.position)
    }
}

/// Runs `attempt` again while it collides with other transactions; each starts from the beginning.
pub(super) async fn retried<T, F>(attempt: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut pause = PAUSE_MAX;
    for _ in 1..ATTEMPTS_MAX {
        match attempt().await {
            Err(Failure::Store(SqlError::Serialization(_))) => {
                tokio::time::sleep(random::jitter(pause)).await;
                pause *= 2;
            }
            outcome => return outcome,
        }
    }
    attempt().await
}
