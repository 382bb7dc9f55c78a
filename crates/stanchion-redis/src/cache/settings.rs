//! The section of the configuration.

use std::time::Duration;

use stanchion_config::SecretString;
use stanchion_resilience::breaker::BreakerSettings;

stanchion_config::settings! {
    /// Where the caches' remote tier is.
    pub struct CacheTierSettings {
        /// Where Redis is: `redis://` or `rediss://`, with user and password where it wants them.
        pub url: Option<SecretString> = unset,
        /// What its keys begin with; processes of the same prefix share entries.
        pub prefix: String = "stanchion:cache",
        /// How long Redis may take to answer; without an answer it is out for this call.
        #[range("1ms"..="1s")]
        pub budget: Duration = "15ms",
        /// When Redis is left alone for a while; slow is what takes longer than the budget.
        pub breaker: BreakerSettings = section,
    }
}
