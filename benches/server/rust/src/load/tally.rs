//! What was answered, how fast, and what it cost us.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Latencies are counted in steps of so many microseconds.
const STEP_US: usize = 5;
/// The last step stands for all that is slower: 50 ms.
const STEPS: usize = 10_000;

/// Counts of one thread.
pub struct Tally {
    answered: Cell<u64>,
    /// Answered before that is counted.
    warming: Cell<u64>,
    failed: RefCell<Option<String>>,
    latencies: RefCell<Vec<u32>>,
}

/// The moment from which on is counted.
pub struct Begun {
    at: Instant,
    processor: Duration,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            answered: Cell::new(0),
            warming: Cell::new(0),
            failed: RefCell::new(None),
            latencies: RefCell::new(vec![0; STEPS]),
        }
    }
}

impl Tally {
    /// Forgets what was counted so far.
    pub fn begin(&self) -> Begun {
        self.warming.set(self.answered.take());
        self.latencies.borrow_mut().fill(0);
        Begun {
            at: Instant::now(),
            processor: processor(),
        }
    }

    /// One more, asked at that time.
    pub fn answered(&self, asked: Instant) {
        self.answered.set(self.answered.get() + 1);
        let step = asked.elapsed().as_micros() as usize / STEP_US;
        self.latencies.borrow_mut()[step.min(STEPS - 1)] += 1;
    }

    /// The first failure is told at the end.
    pub fn failed(&self, error: io::Error) {
        self.failed.borrow_mut().get_or_insert(error.to_string());
    }

    /// The line that is printed.
    ///
    /// # Errors
    /// A connection failed.
    pub fn line(&self, begun: Begun) -> Result<Value, Box<dyn Error>> {
        if let Some(failed) = self.failed.borrow().as_deref() {
            return Err(failed.into());
        }
        let seconds = begun.at.elapsed();
        let processor = processor() - begun.processor;
        Ok(json!({
            "events": self.answered.get(),
            "all": self.answered.get() + self.warming.get(),
            "seconds": seconds.as_secs_f64(),
            "p50_us": self.quantile(0.5),
            "p99_us": self.quantile(0.99),
            // How much of a processor the load itself took: near one it would be the bottleneck.
            "load": processor.as_secs_f64() / seconds.as_secs_f64(),
        }))
    }

    fn quantile(&self, share: f64) -> f64 {
        let rank = (self.answered.get() as f64 * share) as u64;
        let mut below = 0;
        let latencies = self.latencies.borrow();
        let step = latencies.iter().position(|count| {
            below += u64::from(*count);
            below > rank
        });
        ((step.unwrap_or(STEPS - 1) + 1) * STEP_US) as f64
    }
}

/// How long this thread has run.
fn processor() -> Duration {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = statistics.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}
