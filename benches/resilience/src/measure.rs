//! Paired rounds and their medians.

use std::hint::black_box;
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::Instant;

const ROUNDS: usize = 15;
const CALLS: u32 = 400_000;

/// Makes so many calls on one thread.
pub type Work = Arc<dyn Fn(u32) + Send + Sync>;

/// One comparison.
pub struct Case {
    pub name: String,
    pub threads: usize,
    pub ours: Work,
    pub peer: Work,
}

impl Case {
    /// One JSON object.
    pub fn measured(&self) -> serde_json::Value {
        self.round(CALLS / 10);
        let rounds: Vec<_> = (0..ROUNDS).map(|_| self.round(CALLS)).collect();
        let ours = median(rounds.iter().map(|(ours, _)| *ours));
        let peer = median(rounds.iter().map(|(_, peer)| *peer));
        let ratio = median(rounds.iter().map(|(ours, peer)| ours / peer));
        serde_json::json!({
            "case": self.name, "ours": tenths(ours), "peer": tenths(peer), "unit": "ns",
            "ratio": (ratio * 1_000.0).round() / 1_000.0,
        })
    }

    fn round(&self, calls: u32) -> (f64, f64) {
        (
            timed(&self.ours, self.threads, calls),
            timed(&self.peer, self.threads, calls),
        )
    }
}

/// Nanoseconds of a call, as each of the threads sees it.
fn timed(work: &Work, threads: usize, calls: u32) -> f64 {
    let barrier = Arc::new(Barrier::new(threads));
    let run = |_| {
        let (work, barrier) = (work.clone(), barrier.clone());
        thread::spawn(move || {
            barrier.wait();
            let begun = time();
            work(black_box(calls));
            (time() - begun) / f64::from(calls)
        })
    };
    let running: Vec<_> = (0..threads).map(run).collect();
    let times = running
        .into_iter()
        .map(|thread| thread.join().expect("no call panics"));
    times.sum::<f64>() / threads as f64
}

/// Nanoseconds this thread has run or, with `--wall`, that have passed.
fn time() -> f64 {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    if std::env::args().any(|argument| argument == "--wall") {
        return BEGUN.get_or_init(Instant::now).elapsed().as_nanos() as f64;
    }
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let run = statistics
        .split(' ')
        .next()
        .and_then(|nanos| nanos.parse().ok());
    run.expect("Linux tells how long a thread has run")
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn tenths(nanos: f64) -> f64 {
    (nanos * 10.0).round() / 10.0
}
