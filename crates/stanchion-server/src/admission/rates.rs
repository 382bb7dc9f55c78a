//! How often one address or one caller may ask.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use stanchion_auth::Principal;
use stanchion_resilience::Refusal;
use stanchion_resilience::rate::{KeyLimit, KeyedRate, RateSettings};

use super::AdmissionSettings;
use crate::{Problem, codes, idempotency};

/// What is never allowed would come back after a while all the same.
const RETRY_AFTER_UNKNOWN: Duration = Duration::from_secs(1);

/// Who counts: makes the limit of a name, with rate and burst for all processes together.
pub(crate) struct Counting(Box<MakeLimit>);

type MakeLimit = dyn Fn(&str, &RateSettings) -> Arc<dyn KeyLimit> + Send + Sync;

impl Counting {
    pub(crate) fn by(
        make: impl Fn(&str, &RateSettings) -> Arc<dyn KeyLimit> + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(make))
    }
}

impl fmt::Debug for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counting")
    }
}

/// The limits that are switched on.
#[derive(Debug)]
pub(super) struct Rates {
    pub(super) addresses: Option<Arc<dyn KeyLimit>>,
    pub(super) callers: Option<Arc<dyn KeyLimit>>,
}

impl Rates {
    /// Counted by `counting`, or by this process for itself, which then allows its part.
    pub(super) fn new(settings: &AdmissionSettings, counting: Option<&Counting>) -> Self {
        let limit = |is_on: bool, name, rate: &RateSettings| {
            is_on.then(|| match counting {
                Some(Counting(make)) => make(name, rate),
                None => {
                    let part = rate.part_of(settings.replicas);
                    Arc::new(KeyedRate::<String>::new(&part)) as Arc<dyn KeyLimit>
                }
            })
        };
        Self {
            addresses: limit(settings.address_rate_on, "address", &settings.address_rate),
            callers: limit(settings.caller_rate_on, "caller", &settings.caller_rate),
        }
    }

    pub(super) async fn address(&self, address: IpAddr) -> Result<(), Problem> {
        match &self.addresses {
            Some(limit) => taken(&**limit, &network(address).to_string()).await,
            None => Ok(()),
        }
    }

    pub(super) async fn caller(&self, principal: &Principal) -> Result<(), Problem> {
        match &self.callers {
            Some(limit) => taken(&**limit, &idempotency::caller(principal)).await,
            None => Ok(()),
        }
    }
}

async fn taken(limit: &dyn KeyLimit, key: &str) -> Result<(), Problem> {
    let taken = limit.take(key, 1).await;
    taken.map_err(|refusal| Problem::rate_limited(&refusal, &limit.quota()))
}

impl Problem {
    /// 429 `RATE_LIMITED` with `Retry-After`, and the `RateLimit-*` headers of the IETF's drafts
    /// (draft-ietf-httpapi-ratelimit-headers): the burst, nothing left, when there is something again, and the policy.
    #[must_use]
    pub fn rate_limited(refusal: &Refusal, quota: &RateSettings) -> Problem {
        let wait = refusal.retry_after().unwrap_or(RETRY_AFTER_UNKNOWN);
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let burst = quota.burst;
        let window = (f64::from(burst) / quota.per_second).ceil().max(1.0);
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

/// What counts as one address: whoever has one of IPv6 has a network of 64 bits of them.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
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

    #[tokio::test]
    async fn a_process_that_counts_alone_allows_its_part() {
        let settings = AdmissionSettings {
            address_rate_on: true,
            address_rate: RateSettings {
                per_second: 0.001,
                burst: 10,
                keys_max: 100,
            },
            replicas: 4,
            ..AdmissionSettings::default()
        };
        let rates = Rates::new(&settings, None);
        let address = "203.0.113.9".parse().unwrap();
        for _ in 0..3 {
            assert!(rates.address(address).await.is_ok());
        }
        let refused = rates.address(address).await.unwrap_err();
        assert_eq!(refused.status().as_u16(), 429);
        // Counted elsewhere for all, nothing is divided.
        let counting = Counting::by(|_, rate| Arc::new(KeyedRate::<String>::new(rate)));
        let shared = Rates::new(&settings, Some(&counting));
        for _ in 0..10 {
            assert!(shared.address(address).await.is_ok());
        }
    }
}
