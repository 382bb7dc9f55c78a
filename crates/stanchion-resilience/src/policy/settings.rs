//! The section of the configuration.

use std::time::Duration;

use crate::adaptive::AdaptiveSettings;
use crate::breaker::BreakerSettings;
use crate::bulkhead::BulkheadSettings;
use crate::hedge::HedgeSettings;
use crate::rate::RateSettings;
use crate::retry::RetrySettings;
use crate::throttle::ThrottleSettings;

stanchion_config::settings! {
    /// How the calls to one dependency are guarded.
    pub struct PolicySettings {
        /// How long a call may take in all, attempts and waits together; a nearer deadline of the caller wins.
        #[range("1ms"..="1d")]
        pub deadline: Duration = "30s",
        /// How long one attempt may take.
        #[range("1ms"..="1h")]
        pub timeout: Duration = "5s",
        /// Whether failed calls are sent again.
        pub retry_on: bool = true,
        /// How often and when.
        pub retry: RetrySettings = section,
        /// Whether slow reads get a second try beside them.
        pub hedge_on: bool = true,
        /// When.
        pub hedge: HedgeSettings = section,
        /// Whether a dependency that does not answer is left alone for a while.
        pub breaker_on: bool = true,
        /// When and how long.
        pub breaker: BreakerSettings = section,
        /// Whether the calls at a time are bounded.
        pub bulkhead_on: bool = true,
        /// By how many.
        pub bulkhead: BulkheadSettings = section,
        /// Whether their number is found by measuring, too; one program does that best, most often the server.
        pub adaptive_on: bool = false,
        /// How.
        pub adaptive: AdaptiveSettings = section,
        /// Whether the calls a second are bounded.
        pub rate_on: bool = false,
        /// By how many.
        pub rate: RateSettings = section,
        /// Whether a dependency that refuses most calls is spared the rest; the breaker does nearly that.
        pub throttle_on: bool = false,
        /// When.
        pub throttle: ThrottleSettings = section,
    }
}
