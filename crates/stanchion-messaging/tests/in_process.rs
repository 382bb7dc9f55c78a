//! Feeds that take a while to be read, as those of a log that is not in memory, and what ends the process that reads them.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_messaging::{
    ConsumerStore, Contract, DeadLetterFilter, Group, MemoryConsumerStore, Parked, ParkedNote,
    ParkedState, Position, Subscriber,
};
use stanchion_runtime::task;
use support::{CONSUMER, Painted, Walls, broker, hasty, is_nothing_aside, log_id, painter, reach};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

const READ: Duration = Duration::from_millis(10);

/// So many walls, each a key.
fn walls(log: u128, walls: i64) -> Arc<Walls> {
    Arc::new(Walls::of(log, 1..=walls).read_in(READ))
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_interrupted_goes_on_with_the_read_that_was_begun() {
    let feeds = [walls(1, 0), walls(2, 3)];
    let group = Group {
        name: CONSUMER.into(),
        contracts: vec![Painted::NAME],
        progress: HashMap::new(),
    };
    let mut subscription = broker(&feeds).subscribe(group).await.unwrap();
    let start = Instant::now();
    let delivery = loop {
        let next = timeout(READ / 10, subscription.next()).await;
        if let Ok(delivery) = next {
            break delivery.unwrap();
        }
        assert!(start.elapsed() < READ * 100, "no read comes to its end");
    };
    assert_eq!(delivery.messages.len(), 3);
    assert_eq!([feeds[0].begun(), feeds[1].begun()], [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_log_is_read_while_what_it_brought_is_handled() {
    const WALLS: i64 = 1_000;
    let (walls, painted) = (walls(1, WALLS), Arc::new(AtomicUsize::new(0)));
    let paints = Arc::clone(&painted);
    // One ends whenever another one is about to.
    let consumer = painter(&Arc::default(), &walls, move |wall| {
        let (paints, takes) = (Arc::clone(&paints), wall.unsigned_abs() % 17 + 1);
        async move {
            sleep(Duration::from_millis(takes)).await;
            paints.fetch_add(1, Ordering::SeqCst);
        }
    });
    let stop = CancellationToken::new();
    let running = task::spawn(CONSUMER, consumer.run(stop.clone()));
    reach(&painted, WALLS as usize).await;
    stop.cancel();
    running.await.unwrap();
    // Pages of 16, 128 and four of 256 at the most, and then looks whether there is more.
    assert!(walls.begun() <= 16, "{} reads", walls.begun());
}

/// A painter who reads the walls by himself, and whose process ends at the third.
struct Painter {
    store: Arc<MemoryConsumerStore>,
    painted: Mutex<BTreeSet<i64>>,
    /// How often the third was begun.
    begun: AtomicUsize,
}

impl Painter {
    const THIRD: i64 = 3;

    async fn aside(&self) -> Vec<Parked> {
        let all = DeadLetterFilter {
            limit: 100,
            ..DeadLetterFilter::default()
        };
        self.store.list(&all).await.unwrap()
    }

    /// One life: until the third was begun once more and everything else is dealt with, or it is given up.
    async fn lives(self: &Arc<Self>, walls: &Arc<Walls>) {
        let own = Arc::clone(self);
        let consumer = painter(&self.store, walls, move |wall| {
            let own = Arc::clone(&own);
            async move {
                if wall == Self::THIRD {
                    own.begun.fetch_add(1, Ordering::SeqCst);
                    std::future::pending::<()>().await;
                }
                own.painted.lock().insert(wall);
            }
        });
        let consumer = consumer.limits(hasty());
        let before = self.begun.load(Ordering::SeqCst);
        let running = task::spawn(CONSUMER, consumer.run(CancellationToken::new()));
        let ended = timeout(Duration::from_secs(20), async {
            while self.begun.load(Ordering::SeqCst) == before && !self.is_over().await
                || self.aside().await.len() > 1
                || self.painted.lock().len() < 4
            {
                sleep(Duration::from_millis(5)).await;
            }
        });
        ended.await.expect("it stands still");
        running.abort();
        let _aborted = running.await;
        // As if it had waited until nobody can be at it any more.
        for mut left in self.aside().await {
            left.due_at = left.parked_at;
            self.store.park_again(&left).await.unwrap();
        }
    }

    async fn is_over(&self) -> bool {
        self.store.counts(CONSUMER).await.unwrap() == [(ParkedState::Dead, 1)]
    }
}

/// An abort, or no memory: nothing can be written any more, and there is no broker that counts.
#[tokio::test]
async fn what_ends_its_process_at_its_first_attempt_each_time_is_a_dead_letter_one_day() {
    let (walls, painter) = (
        walls(1, 5),
        Arc::new(Painter {
            store: Arc::default(),
            painted: Mutex::default(),
            begun: AtomicUsize::new(0),
        }),
    );
    for uncounted in 1..=3 {
        painter.lives(&walls).await;
        assert_eq!(painter.begun.load(Ordering::SeqCst), uncounted);
        assert!(painter.aside().await.is_empty());
    }
    for counted in 1..=3 {
        painter.lives(&walls).await;
        let aside = painter.aside().await;
        assert_eq!((aside.len(), aside[0].attempts), (1, counted));
        assert_eq!(aside[0].note, Some(ParkedNote::Suspect));
        assert!(
            aside[0]
                .reason
                .starts_with("put aside before its first attempt")
        );
    }
    painter.lives(&walls).await;
    let aside = painter.aside().await;
    assert_eq!((aside[0].state, aside[0].attempts), (ParkedState::Dead, 3));
    assert!(aside[0].reason.starts_with("its last attempt ended"));
    assert_eq!(aside[0].note, Some(ParkedNote::Suspect));
    assert_eq!(painter.begun.load(Ordering::SeqCst), 6);
    assert_eq!(*painter.painted.lock(), BTreeSet::from([1, 2, 4, 5]));
    let progress = painter.store.progress(CONSUMER).await.unwrap();
    assert_eq!(progress[&log_id(1)].position, Position(5));
}

/// What is handled needs no row, however often its service is replaced.
#[tokio::test(start_paused = true)]
async fn a_process_that_comes_further_puts_nothing_aside() {
    let store = Arc::new(MemoryConsumerStore::default());
    let painted = Arc::new(AtomicUsize::new(0));
    for process in 1..=6_usize {
        let walls = walls(1, process as i64 * 2);
        let (paints, rows) = (Arc::clone(&painted), Arc::clone(&store));
        let consumer = painter(&store, &walls, move |_| {
            let (paints, rows) = (Arc::clone(&paints), Arc::clone(&rows));
            async move {
                assert!(is_nothing_aside(&rows).await);
                paints.fetch_add(1, Ordering::SeqCst);
            }
        });
        let stop = CancellationToken::new();
        let running = task::spawn(CONSUMER, consumer.run(stop.clone()));
        reach(&painted, process * 2).await;
        stop.cancel();
        running.await.unwrap();
    }
    assert_eq!(painted.load(Ordering::SeqCst), 12);
    assert!(is_nothing_aside(&store).await);
}
