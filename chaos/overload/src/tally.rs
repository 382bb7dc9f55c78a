//! What came of the requests.

use std::time::Duration;

use serde::Serialize;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Ok,
    /// 503 or 429; whether it said when to come back.
    Shed {
        told: bool,
    },
    /// No answer in time.
    Late,
    Failed,
}

/// All that ended for one path.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    sent: u64,
    ok_us: Vec<u32>,
    shed_us: Vec<u32>,
    untold: u64,
    late: u64,
    failed: u64,
    /// Answered well, by the second in which they were.
    ok_by_second: Vec<u64>,
    sent_by_second: Vec<u64>,
    /// Answered well, by the second in which they were sent.
    kept_by_second: Vec<u64>,
}

/// Milliseconds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Times {
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    path: String,
    sent: u64,
    ok: usize,
    shed: usize,
    /// Shed without `Retry-After`.
    untold: u64,
    late: u64,
    failed: u64,
    ok_ms: Times,
    shed_ms: Times,
    ok_by_second: Vec<u64>,
    sent_by_second: Vec<u64>,
    kept_by_second: Vec<u64>,
}

impl Tally {
    pub(crate) fn sent(&mut self, since_begin: Duration) {
        self.sent += 1;
        count(&mut self.sent_by_second, since_begin, 1);
        // As long as what was sent, though nothing of it is answered.
        count(&mut self.kept_by_second, since_begin, 0);
    }

    pub(crate) fn ended(&mut self, ended: Ended, took: Duration, since_begin: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        match ended {
            Ended::Ok => {
                self.ok_us.push(micros);
                count(&mut self.ok_by_second, since_begin, 1);
                let sent_at = since_begin.saturating_sub(took);
                count(&mut self.kept_by_second, sent_at, 1);
            }
            Ended::Shed { told } => {
                self.shed_us.push(micros);
                self.untold += u64::from(!told);
            }
            Ended::Late => self.late += 1,
            Ended::Failed => self.failed += 1,
        }
    }

    pub(crate) fn summary(mut self, path: String) -> Summary {
        Summary {
            path,
            sent: self.sent,
            ok: self.ok_us.len(),
            shed: self.shed_us.len(),
            untold: self.untold,
            late: self.late,
            failed: self.failed,
            ok_ms: times(&mut self.ok_us),
            shed_ms: times(&mut self.shed_us),
            ok_by_second: self.ok_by_second,
            sent_by_second: self.sent_by_second,
            kept_by_second: self.kept_by_second,
        }
    }
}

fn count(by_second: &mut Vec<u64>, since_begin: Duration, more: u64) {
    let second = usize::try_from(since_begin.as_secs()).unwrap_or(usize::MAX);
    if by_second.len() <= second {
        by_second.resize(second + 1, 0);
    }
    by_second[second] += more;
}

pub(crate) fn times(micros: &mut [u32]) -> Times {
    micros.sort_unstable();
    let at = |share: f64| {
        let place = (micros.len() as f64 * share) as usize;
        let place = place.min(micros.len().saturating_sub(1));
        micros
            .get(place)
            .map_or(0.0, |micros| f64::from(*micros) / 1e3)
    };
    Times {
        p50: at(0.5),
        p99: at(0.99),
        p999: at(0.999),
        max: at(1.0),
    }
}
