//! Another log, one that went back, one that is damaged, and one that fails over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use stanchion_eventsourcing::{
    Altered, Alters, Append, Checkpoint, CheckpointError, CheckpointStore, EventLog, Expected,
    Filter, LogError, LogId, MemoryCheckpoints, MemoryLog, NewEvent, Pages, Position, Recorded,
    SubscriptionState,
};
use stanchion_runtime::id;

use crate::support::{Noted, fill, log_of};

#[tokio::test(start_paused = true)]
async fn another_log_under_it_or_one_that_went_back_halts_it() {
    let (log, other) = (log_of(6).await, log_of(6).await);
    let entries = log.read(Position::START, &Filter::all(), 10).await.unwrap();
    let went_back = Checkpoint {
        position: Position(9),
        ..Checkpoint::after(log.id(), &entries[5])
    };
    let regrown = Checkpoint {
        event: Some(id::new_v7()),
        ..Checkpoint::after(log.id(), &entries[5])
    };
    let foreign = Checkpoint::after(other.id(), &entries[5]);
    for (checkpoint, why) in [
        (went_back, "ends at 6"),
        (regrown, "now it has"),
        (foreign, "is in log"),
    ] {
        let kept = Arc::<MemoryCheckpoints>::default();
        kept.save("subscription/noted", &checkpoint).await.unwrap();
        let noted = Noted::new(&log, &kept, Filter::all());
        let _running = noted.run();
        let halted = noted
            .is(|state| matches!(state, SubscriptionState::Halted(_)))
            .await;
        assert!(format!("{halted:?}").contains(why), "{halted:?}");
        assert!(noted.taken().is_empty());
        // An operator decides to start over.
        noted.subscription.rewind(Position::START).await.unwrap();
        noted.reaches(6).await;
        assert_eq!(noted.taken(), [1, 2, 3, 4, 5, 6]);
    }
}

/// A log with an entry that cannot be read.
struct Rotten {
    log: Arc<dyn EventLog>,
    at: Position,
}

#[async_trait]
impl Alters for Rotten {
    fn inner(&self) -> &dyn EventLog {
        &*self.log
    }

    async fn read(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        let found = self.log.read(after, filter, limit).await?;
        match found.iter().find(|entry| entry.position == self.at) {
            Some(_) => Err(LogError::Damaged {
                position: self.at,
                reason: "rotten".into(),
            }),
            None => Ok(found),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_entry_halts_it_with_a_filter_as_without() {
    for (filter, before) in [
        (Filter::all(), vec![1, 2, 3, 4, 5, 6, 7, 8]),
        (Filter::category("odd"), vec![1, 3, 5, 7]),
    ] {
        let log: Arc<dyn EventLog> = Arc::new(Altered(Rotten {
            log: log_of(40).await,
            at: Position(9),
        }));
        let kept = Arc::<MemoryCheckpoints>::default();
        let noted = Noted::new(&log, &kept, filter);
        let _running = noted.run();
        let halted = noted
            .is(|state| matches!(state, SubscriptionState::Halted(_)))
            .await;
        assert!(format!("{halted:?}").contains("rotten"), "{halted:?}");
        assert_eq!(noted.taken(), before, "nothing behind it was given");
        let position = kept.load("subscription/noted").await.unwrap()[0].position;
        assert!(position < Position(9), "{position}");
    }
}

/// A log whose server fails over to one that lacks its last entries, right after it has answered a page.
struct FailsOver {
    id: LogId,
    before: Arc<dyn EventLog>,
    after: Arc<dyn EventLog>,
    /// It has.
    over: AtomicBool,
}

#[async_trait]
impl Alters for FailsOver {
    fn inner(&self) -> &dyn EventLog {
        match self.over.load(Ordering::SeqCst) {
            true => &*self.after,
            false => &*self.before,
        }
    }

    fn id(&self) -> LogId {
        self.id
    }

    fn incarnation(&self) -> u64 {
        self.over.load(Ordering::SeqCst).into()
    }

    async fn read(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        let found = self.inner().read(after, filter, limit).await;
        // A page, not a look at one entry.
        if limit > 1 && after == Position(5) {
            self.over.store(true, Ordering::SeqCst);
        }
        found
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_whose_end_the_log_of_now_does_not_have_is_not_handed_out() {
    let (before, after) = (log_of(5).await, Arc::new(MemoryLog::new()));
    let shared = before
        .read(Position::START, &Filter::all(), 5)
        .await
        .unwrap();
    for entry in shared {
        let event = NewEvent {
            id: entry.id,
            kind: entry.kind,
            data: entry.data,
        };
        let append = Append {
            stream: entry.stream,
            expected: Expected::Any,
            events: vec![event],
            inbox: None,
            timers: Vec::new(),
            metadata: entry.metadata,
        };
        after.append(append).await.unwrap();
    }
    fill(&before, 5).await;
    let log: Arc<dyn EventLog> = Arc::new(Altered(FailsOver {
        id: LogId(id::new_v7()),
        before,
        after,
        over: AtomicBool::new(false),
    }));
    let start = Checkpoint::start(log.id());
    let mut pages = Pages::new(Arc::clone(&log), Filter::all(), start, (5, 5));
    assert_eq!(pages.next().await.unwrap().through.position, Position(5));
    // Its beginning is in both logs, the event at 5; its end is in the lost one alone.
    let refused = pages.next().await.unwrap_err();
    assert!(
        matches!(
            refused,
            CheckpointError::WentBack {
                position: Position(10),
                head: Position(5)
            }
        ),
        "{refused}"
    );
}
