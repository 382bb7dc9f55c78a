//! Latencies in microseconds as HdrHistogram keeps them: constant memory, a bounded relative error.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Slower than this counts as this: one minute.
const LATENCY_US_MAX: u64 = 60_000_000;

/// Within 0.1 % of the value.
pub(crate) fn fine() -> Histogram<u64> {
    new(3)
}

/// Within 1 % of the value: for the many of a time series.
pub(crate) fn coarse() -> Histogram<u64> {
    new(2)
}

fn new(digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, digits)
        .expect("bounds and digits are constants that HdrHistogram takes")
}

/// Under a microsecond counts as one.
pub(crate) fn record(histogram: &mut Histogram<u64>, time: Duration) {
    let micros = u64::try_from(time.as_micros()).unwrap_or(LATENCY_US_MAX);
    histogram.saturating_record(micros.clamp(1, LATENCY_US_MAX));
}
