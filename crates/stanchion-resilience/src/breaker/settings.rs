//! The knobs.

use std::time::Duration;

stanchion_config::settings! {
    /// When a circuit breaker opens, for how long, and what lets it close.
    pub struct BreakerSettings {
        /// How many of the last calls are looked at: the window by count.
        #[range(1..=1000)]
        pub window_calls: u32 = 50,
        /// Older calls are not looked at: the window by time.
        #[range("10ms"..="1h")]
        pub window_age: Duration = "10s",
        /// With fewer calls in the window it stays closed.
        #[range(1..=1000)]
        pub calls_min: u32 = 20,
        /// The share of failed calls at which it opens.
        #[range(0.01..=1.0)]
        pub failure_rate: f64 = 0.5,
        /// The share of slow calls at which it opens.
        #[range(0.01..=1.0)]
        pub slow_rate: f64 = 0.5,
        /// No call up to this long is slow.
        #[range("1ms"..="1h")]
        pub slow_above: Duration = "250ms",
        /// Nor is one up to this many times the running median; 0 leaves slow_above alone.
        #[range(0.0..=1000.0)]
        pub slow_times: f64 = 5.0,
        /// How long it refuses everything before it tries again.
        #[range("10ms"..="1h")]
        pub open: Duration = "5s",
        /// The share by which the open time is made longer or shorter by chance.
        #[range(0.0..=1.0)]
        pub open_jitter: f64 = 0.2,
        /// Good calls that close it again.
        #[range(1..=1000)]
        pub probes: u32 = 10,
        /// Of these at once.
        #[range(1..=1000)]
        pub probes_at_once: u32 = 3,
        /// At this many bad ones it opens again.
        #[range(1..=1000)]
        pub probes_bad: u32 = 2,
        /// When all probes are out and none has come back for so long, it opens again.
        #[range("10ms"..="1h")]
        pub probe_wait_max: Duration = "10s",
        /// While closed, how often the counts are cleared; never unless given.
        pub clear_every: Option<Duration> = unset,
    }
    check = window_holds_minimum;
}

fn window_holds_minimum(settings: &BreakerSettings, checks: &mut stanchion_config::Checks<'_>) {
    if settings.calls_min > settings.window_calls {
        checks.refuse(
            "calls_min",
            "a window that never holds so many calls never opens the breaker",
            "lower `calls_min` or raise `window_calls`",
        );
    }
}
