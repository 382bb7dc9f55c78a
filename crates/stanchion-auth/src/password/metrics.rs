//! What the pool does, and may do, as it is when metrics are read.

use std::sync::Arc;

use parking_lot::Mutex;
use stanchion_telemetry::Metrics;

use super::PasswordStats;
use super::pool::Pool;

const NAME: &str = "stanchion_passwords";

pub(super) fn show(pool: &Arc<Pool>, metrics: &Metrics) {
    let gauge = |of: &str, about: &str| metrics.gauge(&format!("{NAME}_{of}"), about);
    let counter = |of: &str, about: &str| metrics.counter(&format!("{NAME}_{of}_total"), about);
    let running = gauge("running", "Passwords that are being hashed.");
    let slots = gauge("running_max", "Passwords that may be hashed at a time.");
    let waiting = gauge("waiting", "Callers that wait for that.");
    let queue = gauge("waiting_max", "Callers that may wait.");
    let hashed = counter("hashed", "Passwords that were hashed.");
    let shed = counter("shed", "Callers that were turned away.");
    let (pool, told) = (Arc::downgrade(pool), Mutex::new((0, 0)));
    metrics.when_read(NAME, move || {
        let Some(pool) = pool.upgrade() else { return };
        // Two who read at once count nothing twice.
        let mut told = told.lock();
        let now: PasswordStats = pool.stats();
        running.set(number(now.running));
        slots.set(number(now.slots));
        waiting.set(number(now.waiting));
        queue.set(number(now.queue));
        hashed.inc_by(now.hashed - told.0);
        shed.inc_by(now.shed - told.1);
        *told = (now.hashed, now.shed);
    });
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
