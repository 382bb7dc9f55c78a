//! When each message was committed and handled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use load::{Report, Taken, WARM_UP};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

/// Messages of one run, at most.
const NUMBERS: usize = 1 << 21;

/// Appended and not handled, at most, where as much as goes is asked for: more would only wait.
pub const UNDERWAY_MAX: usize = 2_048;

/// How long the rest of a phase may take.
const REST_MAX: Duration = Duration::from_secs(30);

/// Counts messages by their numbers.
pub struct Clock {
    begun: Instant,
    committed: Vec<AtomicU64>,
    next: AtomicUsize,
    handled: AtomicUsize,
    counting: AtomicBool,
    counted: AtomicUsize,
    taken: Mutex<Vec<(usize, u64)>>,
    /// Room for messages that are underway.
    pub room: Semaphore,
}

impl Clock {
    pub fn new() -> Arc<Self> {
        let mut committed = Vec::new();
        committed.resize_with(NUMBERS, AtomicU64::default);
        Arc::new(Self {
            begun: Instant::now(),
            committed,
            next: AtomicUsize::new(0),
            handled: AtomicUsize::new(0),
            counting: AtomicBool::new(false),
            counted: AtomicUsize::new(0),
            taken: Mutex::new(Vec::new()),
            room: Semaphore::new(UNDERWAY_MAX),
        })
    }

    /// The next message's number.
    pub fn number(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Its append is answered.
    pub fn committed(&self, number: usize) {
        let now = self.now();
        self.committed[number].store(now, Ordering::Release);
    }

    /// Its effect is committed.
    pub async fn handled(&self, number: usize) {
        self.handled.fetch_add(1, Ordering::Relaxed);
        self.room.add_permits(1);
        if self.counting.load(Ordering::Relaxed) {
            self.counted.fetch_add(1, Ordering::Relaxed);
            self.taken.lock().await.push((number, self.now()));
        }
    }

    /// Lets a phase warm up, counts it for that time, and gives what was handled and how long it took.
    pub async fn count(&self, seconds: Duration) -> (u64, Vec<(usize, u64)>) {
        tokio::time::sleep(WARM_UP).await;
        self.counted.store(0, Ordering::Relaxed);
        self.taken.lock().await.clear();
        self.counting.store(true, Ordering::Relaxed);
        tokio::time::sleep(seconds).await;
        self.counting.store(false, Ordering::Relaxed);
        let counted = self.counted.load(Ordering::Relaxed) as u64;
        (counted, std::mem::take(&mut *self.taken.lock().await))
    }

    /// Waits until everything that was numbered is handled.
    pub async fn rest(&self) {
        let end = Instant::now() + REST_MAX;
        while self.handled.load(Ordering::Relaxed) < self.next.load(Ordering::Relaxed) {
            let (handled, all) = (&self.handled, &self.next);
            assert!(Instant::now() < end, "{handled:?} of {all:?} are handled");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// From commit to handled. Who handles may be quicker than who appended hears of it.
    pub fn latencies(&self, taken: &[(usize, u64)]) -> Report {
        let mut latencies = Taken::default();
        for (number, handled) in taken {
            let committed = match self.committed[*number].load(Ordering::Acquire) {
                0 => *handled,
                committed => committed.min(*handled),
            };
            latencies.push(Duration::from_micros(handled - committed));
        }
        latencies.latencies()
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }
}
