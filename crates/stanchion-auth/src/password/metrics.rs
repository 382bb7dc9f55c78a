//! What the pool does, and may do, as it is when metrics are read.

use std::sync::Arc;

use parking_lot::Mutex;
use stanchion_telemetry::Metrics;

use super::PasswordStats;
use super::pool::Pool;

pub(super) fn show(pool: &Arc<Pool>, metrics: &Metrics) {
    let running = metrics.gauge(
        "stanchion_passwords_running",
        "Passwords that are being hashed.",
    );
    let slots = metrics.gauge(
        "stanchion_passwords_running_max",
        "Passwords that may be hashed at a time.",
    );
    let waiting = metrics.gauge("stanchion_passwords_waiting", "Callers that wait for that.");
    let queue = metrics.gauge("stanchion_passwords_waiting_max", "Callers that may wait.");
    let hashed = metrics.counter(
        "stanchion_passwords_hashed_total",
        "Passwords that were hashed.",
    );
    let shed = metrics.counter(
        "stanchion_passwords_shed_total",
        "Callers that were turned away.",
    );
    let told = Mutex::new((0, 0));
    let observe = move |pool: &Pool| {
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
    };
    metrics.when_read("stanchion_passwords", Arc::downgrade(pool), observe);
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
