//! How often one address or one caller may ask.

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use stanchion_auth::Principal;
use stanchion_resilience::rate::{KeyedRate, RateSettings};
use stanchion_resilience::{Moment, Refusal};

use super::AdmissionSettings;
use crate::{Problem, codes, idempotency};

/// What is never allowed would come back after a while all the same.
const RETRY_AFTER_UNKNOWN: Duration = Duration::from_secs(1);

/// The limits that are switched on.
#[derive(Debug)]
pub(super) struct Rates {
    pub(super) addresses: Option<Limited<IpAddr>>,
    pub(super) callers: Option<Limited<String>>,
}

#[derive(Debug)]
pub(super) struct Limited<K> {
    pub(super) keys: KeyedRate<K>,
    settings: RateSettings,
}

impl Rates {
    pub(super) fn new(settings: &AdmissionSettings) -> Self {
        Self {
            addresses: settings
                .address_rate_on
                .then(|| Limited::new(&settings.address_rate)),
            callers: settings
                .caller_rate_on
                .then(|| Limited::new(&settings.caller_rate)),
        }
    }

    pub(super) fn address(&self, address: IpAddr) -> Result<(), Problem> {
        let Some(limited) = &self.addresses else {
            return Ok(());
        };
        let taken = limited.keys.check(&network(address), Moment::now(), 1);
        taken.map_err(|refusal| limited.problem(&refusal))
    }

    pub(super) fn caller(&self, principal: &Principal) -> Result<(), Problem> {
        let Some(limited) = &self.callers else {
            return Ok(());
        };
        let caller = idempotency::caller(principal);
        let taken = limited.keys.check(&caller, Moment::now(), 1);
        taken.map_err(|refusal| limited.problem(&refusal))
    }
}

impl<K: std::hash::Hash + Eq> Limited<K> {
    fn new(settings: &RateSettings) -> Self {
        Self {
            keys: KeyedRate::new(settings),
            settings: settings.clone(),
        }
    }

    /// 429 with when to come back, and the `RateLimit-*` headers of the IETF's drafts.
    fn problem(&self, refusal: &Refusal) -> Problem {
        let wait = refusal.retry_after().unwrap_or(RETRY_AFTER_UNKNOWN);
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let burst = self.settings.burst;
        let window = (f64::from(burst) / self.settings.per_second)
            .ceil()
            .max(1.0);
        let policy = format!("{burst};w={window}");
        let mut problem = codes::RATE_LIMITED.problem().retry_after(wait);
        for (name, value) in [
            ("ratelimit-limit", burst.to_string()),
            ("ratelimit-remaining", "0".to_owned()),
            ("ratelimit-reset", seconds.max(1).to_string()),
            ("ratelimit-policy", policy),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                problem = problem.header(HeaderName::from_static(name), value);
            }
        }
        problem
    }
}

/// Whoever has one IPv6 address has a network of 64 bits of them.
fn network(address: IpAddr) -> IpAddr {
    const HOST_BITS: u32 = 64;
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = u128::from(address) >> HOST_BITS << HOST_BITS;
            IpAddr::V6(bits.into())
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_and_a_mapped_address_is_its_own() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:aaaa::1"), of("2001:db8:1:2:bbbb::2"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
