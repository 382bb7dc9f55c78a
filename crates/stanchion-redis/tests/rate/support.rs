//! What the tests have in common.

use std::time::Duration;

use stanchion_redis::rate::{SharedRate, SharedRateSettings, WhenOut};
use stanchion_resilience::rate::RateSettings;
use stanchion_telemetry::Metrics;

/// A limit at `url` that refills so slowly that a test earns nothing by taking time.
pub(super) fn settings(url: &str, burst: u32) -> SharedRateSettings {
    SharedRateSettings {
        url: Some(url.into()),
        limit: RateSettings {
            per_second: 0.001,
            burst,
            ..RateSettings::default()
        },
        // Of a loaded test machine, on which hundreds ask at once; what a service should wait is the default.
        budget: Duration::from_secs(1),
        when_out: WhenOut::Closed,
        ..SharedRateSettings::default()
    }
}

pub(super) fn open(settings: &SharedRateSettings) -> SharedRate {
    SharedRate::open("test", settings, &Metrics::default()).expect("the URL is well-formed")
}

/// How many of `calls` pass, one after the other.
pub(super) async fn passed(rate: &SharedRate, key: &str, calls: u32) -> u32 {
    let mut passed = 0;
    for _ in 0..calls {
        passed += u32::from(rate.check(key, 1).await.is_ok());
    }
    passed
}
