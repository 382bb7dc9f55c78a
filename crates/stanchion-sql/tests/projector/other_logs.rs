//! A log that is not the one it was: the projection stops and says so, and a rebuild mends it.

use std::sync::Arc;

use async_trait::async_trait;
use stanchion_eventsourcing::{
    Altered, Alters, CheckpointError, EventLog, LogId, MemoryLog, Position, ProjectionState,
};
use stanchion_runtime::id;
use stanchion_sql::{Db, ProjectorError};

use crate::accounts::{balance, book, sound, stores};

/// A log that claims to be another: what a restore of an older backup looks like.
struct Restored {
    id: LogId,
    log: MemoryLog,
}

async fn restored(id: LogId, entries: i64) -> Arc<dyn EventLog> {
    let log: Arc<dyn EventLog> = Arc::new(Altered(Restored {
        id,
        log: MemoryLog::new(),
    }));
    for _ in 0..entries {
        book(&log, "account", "a", 1).await;
    }
    log
}

#[async_trait]
impl Alters for Restored {
    fn inner(&self) -> &dyn EventLog {
        &self.log
    }

    fn id(&self) -> LogId {
        self.id
    }
}

async fn refusal(db: &Db, log: &Arc<dyn EventLog>) -> CheckpointError {
    let (projector, knobs) = sound(db, log);
    let refused = projector.catch_up().await.unwrap_err();
    assert_eq!(knobs.live.load(std::sync::atomic::Ordering::SeqCst), 0);
    let status = projector.status().await.unwrap();
    assert_eq!(status.state, ProjectionState::Halted);
    match refused {
        ProjectorError::Checkpoint(error) => error,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_log_that_went_back_is_refused_until_the_rows_are_rebuilt() {
    for (db, _) in stores().await {
        let id = LogId(id::new_v7());
        let log = restored(id, 5).await;
        sound(&db, &log).0.catch_up().await.unwrap();

        let shorter = restored(id, 3).await;
        let refused = refusal(&db, &shorter).await;
        assert!(
            matches!(
                refused,
                CheckpointError::WentBack {
                    position: Position(5),
                    head: Position(3)
                }
            ),
            "{refused}"
        );
        let grown_again = restored(id, 7).await;
        let refused = refusal(&db, &grown_again).await;
        assert!(
            matches!(
                refused,
                CheckpointError::OtherEvent {
                    position: Position(5),
                    ..
                }
            ),
            "{refused}"
        );
        assert_eq!(balance(&db, "a").await, (5, 5), "nothing was started over");

        let (projector, _) = sound(&db, &grown_again);
        assert_eq!(projector.rebuild().await.unwrap(), Position(7));
        assert_eq!(balance(&db, "a").await, (7, 7));
        projector.catch_up().await.unwrap();
    }
}

#[tokio::test]
async fn another_log_is_refused_until_the_rows_are_rebuilt() {
    for (db, log) in stores().await {
        book(&log, "account", "a", 1).await;
        sound(&db, &log).0.catch_up().await.unwrap();
        let other = restored(LogId(id::new_v7()), 2).await;
        let refused = refusal(&db, &other).await;
        assert!(
            matches!(refused, CheckpointError::OtherLog { .. }),
            "{refused}"
        );
        let (projector, _) = sound(&db, &other);
        projector.rebuild().await.unwrap();
        assert_eq!(balance(&db, "a").await, (2, 2));
        sound(&db, &other).0.catch_up().await.unwrap();
        assert!(matches!(
            refusal(&db, &log).await,
            CheckpointError::OtherLog { .. }
        ));
    }
}
