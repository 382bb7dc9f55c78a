use std::time::Duration;

use stanchion_resilience::adaptive::AdaptiveSettings;
use stanchion_resilience::codel::CodelSettings;
use stanchion_resilience::rate::RateSettings;

/// Longer than any process lives: what is never measured.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

stanchion_config::settings! {
    /// Who is let in, and who is told to come back.
    pub struct AdmissionSettings {
        /// Whether the number of requests worked on at once is found by measuring; otherwise it is server.in_flight_max.
        pub adaptive_on: bool = true,
        /// The number to begin with; never above server.in_flight_max. Nine tenths of it are for normal requests: an
        /// ordinary load that fits is never held back, however slow the machine is.
        #[range(1..=100000)]
        pub limit_start: u32 = 48,
        /// It never falls below. Of one place each class has all, and one slow request keeps everybody out.
        #[range(1..=1000)]
        pub limit_min: u32 = 4,
        /// How much slower than unloaded requests may be, as a share, without lowering it while it is felt.
        #[range(0.0..=10.0)]
        pub buffer: f64 = 0.25,
        /// How often it moves.
        #[range("10ms"..="1m")]
        pub window: Duration = "100ms",
        /// How often it is lowered for a moment to measure unloaded requests, while there is always more to do than can be done.
        #[range("1s"..="1h")]
        pub probe_every: Duration = "1m",
        /// How long a request may wait for its turn, as long as the queue empties now and then.
        #[range("1ms"..="10s")]
        pub wait: Duration = "100ms",
        /// How long it may wait in a queue that does not.
        #[range("1ms"..="10s")]
        pub wait_standing: Duration = "1ms",
        /// Whether each address may ask only so often; behind a proxy, name it in server.trusted_proxies.
        pub address_rate_on: bool = false,
        /// How often; the addresses of an IPv6 network of 64 bits are one.
        pub address_rate: RateSettings = section,
        /// Whether each caller that proved who it is may ask only so often.
        pub caller_rate_on: bool = false,
        /// How often.
        pub caller_rate: RateSettings = section,
        /// Processes that share the rates: each allows so small a part while it counts for itself alone.
        #[range(1..=10000)]
        pub replicas: u32 = 1,
    }
}

impl AdmissionSettings {
    /// As the limit takes them, with so many requests at once at most.
    pub(super) fn adaptive(&self, in_flight_max: usize) -> AdaptiveSettings {
        let max = u32::try_from(in_flight_max).unwrap_or(u32::MAX).max(1);
        let usual = AdaptiveSettings {
            start: self.limit_start.min(max),
            min: self.limit_min.min(max),
            max,
            buffer: self.buffer,
            window: self.window,
            probe_every: self.probe_every,
            queue: CodelSettings {
                interval: self.wait,
                target: self.wait_standing.min(self.wait),
            },
            queue_max: Some(max),
            ..AdaptiveSettings::default()
        };
        if self.adaptive_on {
            return usual;
        }
        AdaptiveSettings {
            start: max,
            min: max,
            probe_every: NEVER,
            queue_max: Some(0),
            ..usual
        }
    }
}

#[cfg(test)]
mod tests {
    use stanchion_resilience::Priority;

    use super::*;

    /// What the simulations of a busy machine begin with, and the shop's stop tests ask for at once.
    #[test]
    fn an_ordinary_load_of_thirty_two_fits_from_the_start() {
        let limit = AdmissionSettings::default().adaptive(512);
        assert_eq!((limit.start, limit.window.as_millis()), (48, 100));
        assert!(Priority::Normal.part_of(limit.start) >= 32);
        let classes = Priority::ALL.map(|class| class.part_of(limit.min));
        assert_eq!(classes, [4, 4, 3, 2], "what can wait leaves room even then");
    }
}
