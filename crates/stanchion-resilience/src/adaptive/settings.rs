//! What can be set.

use std::time::Duration;

use crate::codel::CodelSettings;

stanchion_config::settings! {
    /// As many calls at a time as are answered without queueing.
    pub struct AdaptiveSettings {
        /// The limit to begin with; one that is not felt comes back to it.
        #[range(1..=1000)]
        pub start: u32 = 20,
        /// It never falls below.
        #[range(1..=1000)]
        pub min: u32 = 1,
        /// It never rises above.
        #[range(1..=100000)]
        pub max: u32 = 1000,
        /// How much slower than unloaded a call may be without lowering the limit that is felt.
        #[range(0.0..=10.0)]
        pub buffer: f64 = 0.25,
        /// How often the limit moves.
        #[range("10ms"..="1m")]
        pub window: Duration = "1s",
        /// With fewer calls it does not.
        #[range(1..=10000)]
        pub window_calls_min: u32 = 10,
        /// How often the time of an unloaded call is measured while the limit is felt, give or take 15 %.
        #[range("1s"..="1h")]
        pub probe_every: Duration = "1m",
        /// With so many calls.
        #[range(1..=1000)]
        pub probe_calls: u32 = 25,
        /// So many of them at a time.
        #[range(1..=100)]
        pub probe_limit: u32 = 1,
        /// For so long, or until five calls of a slower kind have ended.
        #[range("10ms"..="1m")]
        pub probe_max: Duration = "1s",
        /// The queue before it.
        pub queue: CodelSettings = section,
        /// So many wait in it at most, and never more than can be served in time; as many as run unless given.
        #[range("0"..="1000000")]
        pub queue_max: Option<u32> = unset,
    }
    check = min_fits_max;
}

fn min_fits_max(settings: &AdaptiveSettings, checks: &mut stanchion_config::Checks<'_>) {
    if !(settings.min..=settings.max).contains(&settings.start) {
        checks.refuse(
            "start",
            "it is not between `min` and `max`",
            "choose a number between them",
        );
    }
}
