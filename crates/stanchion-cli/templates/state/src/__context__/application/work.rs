use std::time::Duration;

use stanchion::eventsourcing::{Expected, Metadata, NewEvent, StreamId};
use stanchion::runtime::random;
use stanchion::sql::{SqlError, UnitOfWork};
use uuid::Uuid;

use super::Failure;
use crate::__context__::domain::__thing__::__Thing__Event;

/// How often a unit of work is tried that collides with others.
const ATTEMPTS_MAX: u32 = 5;

/// The longest wait before the second attempt; it doubles with each.
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// The event commits with the rows.
pub(super) fn record(
    work: &mut UnitOfWork,
    id: Uuid,
    event: &__Thing__Event,
    metadata: &Metadata,
) -> Result<(), Failure> {
    let stream = StreamId::new("__thing__", id.to_string());
    work.record(stream, Expected::Any, vec![NewEvent::of(event)?], metadata);
    Ok(())
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
