//! Subscriptions and replays over the log in memory.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;
use stanchion_eventsourcing::{
    Altered, Alters, Append, Checkpoint, CheckpointError, CheckpointStore, EventLog, Expected,
    Filter, LogError, LogId, MemoryCheckpoints, MemoryLog, Metadata, NewEvent, Pages, Position,
    Recorded, ReplayError, StreamId, Subscription, SubscriptionState, replay, split,
};
use stanchion_messaging::HandlerError;
use stanchion_runtime::{id, task};
use tokio_util::sync::CancellationToken;

/// Long enough for any machine; no test waits for it to pass.
const LONG: Duration = Duration::from_secs(3_600);

async fn fill(log: &Arc<dyn EventLog>, count: usize) {
    for n in 0..count {
        let event = NewEvent {
            id: id::new_v7(),
            kind: "counted".into(),
            data: json!({ "n": n }).into(),
        };
        let append = Append {
            stream: StreamId::new(["odd", "even"][n % 2], "a"),
            expected: Expected::Any,
            events: vec![event],
            inbox: None,
            timers: Vec::new(),
            metadata: Metadata::new(None),
        };
        log.append(append).await.unwrap();
    }
}

async fn log_of(count: usize) -> Arc<dyn EventLog> {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    fill(&log, count).await;
    log
}

/// A subscription whose handler notes what it is given, and answers by a script.
struct Noted {
    subscription: Subscription,
    seen: Arc<Mutex<Vec<i64>>>,
    answers: Arc<Mutex<VecDeque<HandlerError>>>,
    stop: CancellationToken,
}

impl Noted {
    fn new(log: &Arc<dyn EventLog>, kept: &Arc<MemoryCheckpoints>, filter: Filter) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let (note, script) = (Arc::clone(&seen), Arc::clone(&answers));
        let subscription = Subscription::with_pages(
            "noted",
            Arc::clone(log),
            Arc::clone(kept) as Arc<dyn CheckpointStore>,
            filter,
            (3, 3),
            move |entries| {
                note.lock()
                    .extend(entries.iter().map(|entry| entry.position.0));
                let answer = script.lock().pop_front();
                async move { answer.map_or(Ok(()), Err) }
            },
        );
        Self {
            subscription,
            seen,
            answers,
            stop: CancellationToken::new(),
        }
    }

    fn run(&self) -> task::Task<()> {
        let running = self.subscription.clone().run(self.stop.clone());
        task::spawn("noted", running)
    }

    async fn reaches(&self, position: i64) {
        let mut at = self.subscription.position();
        let reached = at.wait_for(|at| *at >= Position(position));
        tokio::time::timeout(LONG, reached).await.unwrap().unwrap();
    }

    async fn is(&self, wanted: impl FnMut(&SubscriptionState) -> bool) -> SubscriptionState {
        let mut state = self.subscription.state();
        let reached = tokio::time::timeout(LONG, state.wait_for(wanted)).await;
        reached.unwrap().unwrap().clone()
    }

    fn taken(&self) -> Vec<i64> {
        std::mem::take(&mut self.seen.lock())
    }
}

#[tokio::test(start_paused = true)]
async fn entries_come_in_order_from_the_saved_checkpoint_and_as_they_are_appended() {
    let (log, kept) = (log_of(7).await, Arc::<MemoryCheckpoints>::default());
    let first = Noted::new(&log, &kept, Filter::all());
    let running = first.run();
    first.reaches(7).await;
    fill(&log, 2).await;
    first.reaches(9).await;
    first.stop.cancel();
    running.await.unwrap();
    assert_eq!(first.taken(), (1..=9).collect::<Vec<_>>());
    assert_eq!(
        *first.subscription.state().borrow(),
        SubscriptionState::Stopped
    );

    fill(&log, 2).await;
    let second = Noted::new(&log, &kept, Filter::all());
    let _running = second.run();
    second.reaches(11).await;
    assert_eq!(second.taken(), [10, 11]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_halts_its_subscription_until_a_resume() {
    let (log, kept) = (log_of(5).await, Arc::<MemoryCheckpoints>::default());
    let fixed = Arc::new(AtomicBool::new(false));
    let handled = Arc::clone(&fixed);
    let subscription = Subscription::with_pages(
        "careless",
        Arc::clone(&log),
        Arc::clone(&kept) as Arc<dyn CheckpointStore>,
        Filter::all(),
        (2, 2),
        move |entries| {
            let fixed = handled.load(Ordering::SeqCst);
            async move {
                let unexpected = entries.iter().any(|entry| entry.position == Position(4));
                assert!(fixed || !unexpected, "an entry of the third kind");
                Ok(())
            }
        },
    );
    let stop = CancellationToken::new();
    let running = task::spawn("careless", subscription.clone().run(stop.clone()));
    let mut state = subscription.state();
    let halted = state.wait_for(|state| matches!(state, SubscriptionState::Halted(_)));
    let halted = tokio::time::timeout(LONG, halted).await.unwrap().unwrap();
    let said = format!("{:?}", *halted);
    drop(halted);
    assert!(
        said.contains("panicked") && said.contains("the third kind"),
        "{said}"
    );
    assert_eq!(*subscription.position().borrow(), Position(2));
    fixed.store(true, Ordering::SeqCst);
    subscription.resume().await.unwrap();
    let mut at = subscription.position();
    let reached = at.wait_for(|at| *at == Position(5));
    tokio::time::timeout(LONG, reached).await.unwrap().unwrap();
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_passes_what_the_filter_does_not() {
    let (log, kept) = (log_of(8).await, Arc::<MemoryCheckpoints>::default());
    let odd = Noted::new(&log, &kept, Filter::category("odd"));
    let _running = odd.run();
    odd.reaches(8).await;
    assert_eq!(odd.taken(), [1, 3, 5, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_failed_comes_again_and_one_that_was_rejected_halts_until_a_resume() {
    let (log, kept) = (log_of(5).await, Arc::<MemoryCheckpoints>::default());
    let noted = Noted::new(&log, &kept, Filter::all());
    noted.answers.lock().extend([
        HandlerError::Later("busy".into()),
        HandlerError::Failed("broken".into()),
        HandlerError::Rejected("poison".into()),
    ]);
    let _running = noted.run();
    let halted = noted
        .is(|state| matches!(state, SubscriptionState::Halted(_)))
        .await;
    assert!(format!("{halted:?}").contains("poison"), "{halted:?}");
    assert_eq!(noted.taken(), [1, 2, 3, 1, 2, 3, 1, 2, 3]);
    assert!(
        kept.load("subscription/noted").await.unwrap().is_empty(),
        "nothing was skipped"
    );
    noted.subscription.resume().await.unwrap();
    noted.reaches(5).await;
    assert_eq!(noted.taken(), [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_during_a_pause() {
    let (log, kept) = (log_of(3).await, Arc::<MemoryCheckpoints>::default());
    let noted = Noted::new(&log, &kept, Filter::all());
    let _running = noted.run();
    noted.reaches(3).await;
    noted.subscription.pause().await.unwrap();
    noted
        .is(|state| matches!(state, SubscriptionState::Paused))
        .await;
    fill(&log, 2).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(noted.taken(), [1, 2, 3]);
    noted.subscription.resume().await.unwrap();
    noted.reaches(5).await;
    assert_eq!(noted.taken(), [4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_over_a_restart_and_is_ended_from_another_process() {
    let (log, kept) = (log_of(3).await, Arc::<MemoryCheckpoints>::default());
    let paused = |state: &SubscriptionState| matches!(state, SubscriptionState::Paused);
    let first = Noted::new(&log, &kept, Filter::all());
    let running = first.run();
    first.reaches(3).await;
    // Whoever is at hand says so: a process that does not run it.
    let operator = Noted::new(&log, &kept, Filter::all());
    operator.subscription.pause().await.unwrap();
    first.is(paused).await;
    first.stop.cancel();
    running.await.unwrap();
    fill(&log, 2).await;
    let second = Noted::new(&log, &kept, Filter::all());
    let _running = second.run();
    second.is(paused).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(second.taken().is_empty());
    operator.subscription.rewind(Position(2)).await.unwrap();
    operator.subscription.resume().await.unwrap();
    second.reaches(5).await;
    assert_eq!(second.taken(), [3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_rewind_brings_entries_again_or_leaves_them_out_and_knows_the_logs_end() {
    let (log, kept) = (log_of(6).await, Arc::<MemoryCheckpoints>::default());
    let noted = Noted::new(&log, &kept, Filter::all());
    let _running = noted.run();
    noted.reaches(6).await;
    noted.taken();
    noted.subscription.rewind(Position(4)).await.unwrap();
    noted.reaches(6).await;
    assert_eq!(noted.taken(), [5, 6]);
    let beyond = noted.subscription.rewind(Position(7)).await.unwrap_err();
    assert!(beyond.to_string().contains("ends at 6"), "{beyond}");
    noted.subscription.rewind(Position::START).await.unwrap();
    noted.reaches(6).await;
    assert_eq!(noted.taken(), [1, 2, 3, 4, 5, 6]);
}

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

#[tokio::test]
async fn a_parallel_replay_hands_every_entry_over_once_in_order_within_its_range() {
    let log = log_of(2_500).await;
    let ranges = split(log.head().await.unwrap(), 4);
    let seen = Arc::new(Mutex::new(vec![Vec::new(); ranges.len()]));
    let note = Arc::clone(&seen);
    let count = replay(&log, &ranges, move |number, entries| {
        note.lock()[number].extend(entries.iter().map(|entry| entry.position.0));
        async { Ok(()) }
    });
    assert_eq!(count.await.unwrap(), 2_500);
    let all: Vec<i64> = seen.lock().concat();
    assert_eq!(all, (1..=2_500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_replay_that_is_not_everything_says_so() {
    let log = log_of(10).await;
    let short = replay(&log, &[1..=5, 6..=12], |_, _| async { Ok(()) }).await;
    assert!(
        matches!(
            short,
            Err(ReplayError::Incomplete {
                from: Position(6),
                expected: 7,
                read: 5,
                ..
            })
        ),
        "{short:?}"
    );
    let given_up = replay(&log, &[1..=10], |_, _| async {
        Err(HandlerError::Failed("no room".into()))
    });
    let given_up = given_up.await.unwrap_err().to_string();
    assert!(given_up.contains("no room"), "{given_up}");
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
