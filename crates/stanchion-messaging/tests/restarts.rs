//! Processes that begin at one place of a log, and of which none is ended by what comes next there: they are replaced, or live.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use parking_lot::Mutex;
use stanchion_messaging::{ConsumerLimits, ConsumerStore, MemoryConsumerStore, Position};
use stanchion_runtime::{clock, task};
use support::{CONSUMER, WITHIN, Walls, id, is_nothing_aside, log_id, painter, reach};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

const LOG: u128 = 1;

/// More than a consumer lets pass without a count.
const PROCESSES: usize = 5;

/// So many walls, and nobody has painted any.
fn unpainted(walls: i64) -> (Arc<MemoryConsumerStore>, Arc<Walls>) {
    (Arc::default(), Arc::new(Walls::of(LOG, 1..=walls)))
}

/// As many processes begin there as may without a doubt, and none comes any further.
async fn end_at_the_start(store: &MemoryConsumerStore) {
    for ended in 0..3 {
        let before = store.begins(CONSUMER, log_id(LOG), Position::START).await;
        assert_eq!(before.unwrap(), ended);
    }
}

/// A service is replaced again and again while what is handled takes longer than a stop waits for.
#[tokio::test(start_paused = true)]
async fn a_stop_in_good_order_is_no_end_by_what_was_in_hand() {
    let (store, walls) = unpainted(16);
    for _process in 0..PROCESSES {
        let begun = Arc::new(Notify::new());
        let begins = Arc::clone(&begun);
        let consumer = painter(&store, &walls, move |_| {
            let begins = Arc::clone(&begins);
            async move {
                begins.notify_one();
                std::future::pending::<()>().await;
            }
        });
        let stop = CancellationToken::new();
        let running = task::spawn(CONSUMER, consumer.run(stop.clone()));
        timeout(WITHIN, begun.notified()).await.unwrap();
        stop.cancel();
        running.await.unwrap();
        assert!(is_nothing_aside(&store).await);
    }
}

/// Each of them is given the same message, and is at it for longer than anybody looks whether one comes further.
#[tokio::test(start_paused = true)]
async fn what_comes_to_several_that_wait_at_the_end_of_a_log_is_tried_at_once() {
    let (store, walls) = unpainted(0);
    let begun = Arc::new(AtomicUsize::new(0));
    let processes = (0..PROCESSES).map(|_| {
        let begun = Arc::clone(&begun);
        let consumer = painter(&store, &walls, move |_| {
            begun.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_secs(20))
        });
        task::spawn(CONSUMER, consumer.run(CancellationToken::new()))
    });
    let processes: Vec<_> = processes.collect();
    walls.push("1", clock::now() + SignedDuration::from_secs(1));
    reach(&begun, PROCESSES).await;
    assert!(is_nothing_aside(&store).await);
    processes.iter().for_each(|running| running.abort());
}

#[tokio::test(start_paused = true)]
async fn several_that_begin_at_once_put_nothing_aside_while_one_comes_further() {
    let (store, walls) = unpainted(16);
    let (painted, seen_aside) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let processes = (0..PROCESSES).map(|_| {
        let (painted, seen_aside) = (Arc::clone(&painted), Arc::clone(&seen_aside));
        let rows = Arc::clone(&store);
        let consumer = painter(&store, &walls, move |_| {
            let (painted, seen_aside) = (Arc::clone(&painted), Arc::clone(&seen_aside));
            let rows = Arc::clone(&rows);
            async move {
                sleep(Duration::from_millis(300)).await;
                if !is_nothing_aside(&rows).await {
                    seen_aside.fetch_add(1, Ordering::SeqCst);
                }
                painted.fetch_add(1, Ordering::SeqCst);
            }
        });
        task::spawn(CONSUMER, consumer.run(CancellationToken::new()))
    });
    let processes: Vec<_> = processes.collect();
    reach(&painted, PROCESSES * 16).await;
    assert_eq!(seen_aside.load(Ordering::SeqCst), 0);
    assert!(is_nothing_aside(&store).await);
    processes.iter().for_each(|running| running.abort());
}

/// What comes into the log later was in nobody's hand: it needs no row, however little came before it.
#[tokio::test(start_paused = true)]
async fn only_what_was_there_before_its_process_is_put_aside() {
    let (store, walls) = unpainted(2);
    end_at_the_start(&store).await;
    let from_rows = Arc::new(Mutex::new(BTreeMap::new()));
    let (notes, rows) = (Arc::clone(&from_rows), Arc::clone(&store));
    let consumer = painter(&store, &walls, move |wall| {
        let (notes, rows) = (Arc::clone(&notes), Arc::clone(&rows));
        async move {
            let found = rows.find(id(LOG, wall)).await.unwrap();
            notes.lock().insert(wall, !found.is_empty());
        }
    });
    for later in ["3", "4"] {
        walls.push(later, clock::now() + SignedDuration::from_secs(1));
    }
    let running = task::spawn(CONSUMER, consumer.run(CancellationToken::new()));
    let all = timeout(WITHIN, async {
        while from_rows.lock().len() < 4 {
            sleep(Duration::from_millis(5)).await;
        }
    });
    all.await.unwrap();
    running.abort();
    let expected = [(1, true), (2, true), (3, false), (4, false)];
    assert_eq!(*from_rows.lock(), BTreeMap::from(expected));
}

#[tokio::test(start_paused = true)]
async fn what_is_put_aside_before_it_is_tried_is_tried_at_the_rate_of_its_key() {
    const COATS: usize = 4;
    let store = Arc::new(MemoryConsumerStore::default());
    let walls = Arc::new(Walls::of(LOG, [7; COATS]));
    end_at_the_start(&store).await;
    let begun = Arc::new(Mutex::new(Vec::new()));
    let begins = Arc::clone(&begun);
    let consumer = painter(&store, &walls, move |_| {
        begins.lock().push(Instant::now());
        std::future::ready(())
    });
    let consumer = consumer.limits(ConsumerLimits {
        rate_per_key: Some(2),
        ..ConsumerLimits::default()
    });
    let running = task::spawn(CONSUMER, consumer.run(CancellationToken::new()));
    let all = timeout(WITHIN, async {
        while begun.lock().len() < COATS {
            sleep(Duration::from_millis(5)).await;
        }
    });
    all.await.unwrap();
    running.abort();
    let begun = begun.lock().clone();
    for two in begun.windows(2) {
        let between = (two[1] - two[0]).as_millis();
        assert!((500..1_000).contains(&between), "{between} ms");
    }
}
