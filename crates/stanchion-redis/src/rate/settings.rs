//! The section of the configuration.

use std::time::Duration;

use stanchion_config::SecretString;
use stanchion_resilience::breaker::BreakerSettings;
use stanchion_resilience::rate::RateSettings;

stanchion_config::choice! {
    /// What a limit does while Redis does not answer.
    pub enum WhenOut {
        /// Each process limits by itself, to its part of the rate: for what should rather be served.
        Fallback = "fallback",
        /// Everything is refused: for logins and whatever else is attacked when it is not limited.
        Closed = "closed",
    }
}

stanchion_config::settings! {
    /// How much each key may do in all processes together.
    pub struct SharedRateSettings {
        /// Where Redis is: `redis://` or `rediss://`, with user and password where it wants them.
        pub url: Option<SecretString> = unset,
        /// What its keys begin with; limits of the same prefix and name are one limit.
        pub prefix: String = "stanchion:rate",
        /// Rate and burst of each key, and how many keys the fallback remembers.
        pub limit: RateSettings = section,
        /// Processes that share the limit: each has so small a part of it while Redis is out.
        #[range(1..=10000)]
        pub replicas: u32 = 1,
        /// What happens while Redis is out.
        pub when_out: WhenOut = "fallback",
        /// How long Redis may take to answer; without an answer it is out for this call.
        #[range("1ms"..="1s")]
        pub budget: Duration = "15ms",
        /// When Redis is left alone for a while; slow is what takes longer than the budget.
        pub breaker: BreakerSettings = section,
    }
}

impl SharedRateSettings {
    /// What one process may do alone.
    pub(super) fn part(&self) -> RateSettings {
        self.limit.part_of(self.replicas)
    }
}
