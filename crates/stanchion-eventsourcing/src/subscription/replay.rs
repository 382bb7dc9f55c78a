use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;

use stanchion_messaging::HandlerError;
use stanchion_runtime::task::{self, Task};

use crate::{EventLog, Filter, LogError, Position, Recorded};

/// Entries handed over at once.
const PAGE: usize = 1_000;

/// Why a replay is not complete.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReplayError {
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A range had fewer entries than it is long: the log has a hole or ends before.
    #[error("the log has {read} entries in {from} to {to} instead of {expected}")]
    Incomplete {
        /// The range's first position.
        from: Position,
        /// Its last one.
        to: Position,
        /// How many entries it should have.
        expected: u64,
        /// How many were read.
        read: u64,
    },
    /// The handler gave up.
    #[error("the handler gave up in the range from {from}: {reason}")]
    Handler {
        /// The range's first position.
        from: Position,
        /// What it said.
        reason: String,
    },
}

/// Splits 1..`head` into at most `parts` ranges of nearly the same length.
#[must_use]
pub fn split(head: Position, parts: usize) -> Vec<RangeInclusive<i64>> {
    let length = head.0.max(0);
    let parts = i64::try_from(parts)
        .unwrap_or(i64::MAX)
        .clamp(1, length.max(1));
    let bound = |part: i64| {
        i64::try_from(i128::from(length) * i128::from(part) / i128::from(parts)).unwrap_or(length)
    };
    (0..parts)
        .map(|part| bound(part) + 1..=bound(part + 1))
        .filter(|range| !range.is_empty())
        .collect()
}

/// Reads ranges of a log at the same time, one task each, and hands their entries over in pages, in order within
/// each range. Positions have no holes, so as many entries as a range is long prove that nothing is missing.
///
/// The handler gets the range's number and a page of at most 1,000 entries. The first failure ends all of it.
/// Returns the number of entries.
///
/// # Errors
/// [`ReplayError`]: what was handed over is not everything.
pub async fn replay<F, Fut>(
    log: &Arc<dyn EventLog>,
    ranges: &[RangeInclusive<i64>],
    handler: F,
) -> Result<u64, ReplayError>
where
    F: Fn(usize, Vec<Recorded>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let handler = Arc::new(handler);
    let parts = ranges.iter().enumerate().map(|(number, range)| {
        let (log, handler) = (Arc::clone(log), Arc::clone(&handler));
        let range = range.clone();
        Part(task::spawn("replay", async move {
            replay_range(&*log, number, &range, &*handler).await
        }))
    });
    let parts: Vec<Part> = parts.collect();
    let mut count = 0;
    for mut part in parts {
        let read = (&mut part.0).await;
        count += read.map_err(|failed| LogError::Unavailable(failed.to_string()))??;
    }
    Ok(count)
}

async fn replay_range<F, Fut>(
    log: &dyn EventLog,
    number: usize,
    range: &RangeInclusive<i64>,
    handler: &F,
) -> Result<u64, ReplayError>
where
    F: Fn(usize, Vec<Recorded>) -> Fut,
    Fut: Future<Output = Result<(), HandlerError>>,
{
    let (from, to) = (Position(*range.start()), Position(*range.end()));
    let expected = u64::try_from(to.0 - from.0 + 1).unwrap_or(0);
    let mut at = Position(from.0 - 1);
    let mut read = 0;
    while at < to {
        let left = usize::try_from(to.0 - at.0).unwrap_or(PAGE);
        let mut page = log.read(at, &Filter::all(), left.min(PAGE)).await?;
        page.retain(|entry| entry.position <= to);
        let Some(last) = page.last() else { break };
        at = last.position;
        read += page.len() as u64;
        let handled = handler(number, page).await;
        handled.map_err(|error| ReplayError::Handler {
            from,
            reason: error.to_string(),
        })?;
    }
    if read == expected {
        return Ok(read);
    }
    Err(ReplayError::Incomplete {
        from,
        to,
        expected,
        read,
    })
}

/// A range being read; dropped, it ends.
struct Part(Task<Result<u64, ReplayError>>);

impl Drop for Part {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_position_once() {
        for (head, parts) in [(0, 4), (1, 4), (7, 3), (1_000_000, 8), (10, 0)] {
            let ranges = split(Position(head), parts);
            let all: Vec<i64> = ranges.iter().cloned().flatten().collect();
            assert_eq!(all, (1..=head).collect::<Vec<_>>(), "{head} in {parts}");
            assert!(ranges.len() <= parts.max(1));
        }
    }
}
