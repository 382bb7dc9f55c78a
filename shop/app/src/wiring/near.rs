//! What processes share in Redis: copies of what is read often, and counts of how often somebody may try. Nothing that decides
//! depends on it, and without it each process has its own.

use std::sync::Arc;

use anyhow::Context;
use secrecy::SecretString;
use shop_identity::{AttemptSettings, Attempts, Counting};
use shop_inventory::ProductCache;
use stanchion::auth::secret::Signer;
use stanchion::cache::Remote;
use stanchion::redis::cache::{CacheTier, CacheTierSettings};
use stanchion::redis::rate::{SharedRate, SharedRateSettings};
use stanchion::resilience::rate::{KeyLimit, RateSettings};
use stanchion::server::{Module, Purpose, Service};
use stanchion::telemetry::Metrics;

use crate::settings::{CacheSection, ShopSettings};

/// The tier of the caches and the limits that all processes share, or what each has for itself.
#[derive(Clone)]
pub(crate) struct Near {
    section: CacheSection,
    replicas: u32,
    tier: Option<CacheTier>,
    metrics: Metrics,
}

impl Near {
    /// As configured; nothing waits for a connection. An operator's command shares nothing.
    pub(crate) fn of(
        settings: &ShopSettings,
        purpose: Purpose,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let section = settings.cache.clone();
        let is_shared = purpose == Purpose::Run && !section.is_memory();
        let tier = is_shared.then(|| {
            let settings = CacheTierSettings {
                url: Some(section.secret_url()),
                prefix: format!("{}:cache", section.prefix),
                ..section.tier.clone()
            };
            CacheTier::open(&settings, metrics)
        });
        Ok(Self {
            section,
            replicas: settings.server.admission.replicas,
            tier: tier.transpose().context("cache.url")?,
            metrics: metrics.clone(),
        })
    }

    /// Where inventory keeps products near.
    pub(crate) fn products(&self) -> ProductCache {
        let Self {
            section, metrics, ..
        } = self;
        let remote = self.remote("products");
        ProductCache::new(section.entries_max, section.ttl, remote, metrics)
    }

    /// How often somebody may try to get in, by what this process needs of it.
    pub(crate) fn attempts(
        &self,
        settings: &ShopSettings,
        signer: &Arc<Signer>,
        needed: fn(&AttemptSettings, &Counting<'_>) -> Attempts,
    ) -> Attempts {
        let counting = Counting {
            signer: Arc::clone(signer),
            replicas: self.replicas,
            shared: &|name, rate| self.limit(name, rate),
            metrics: &self.metrics,
        };
        needed(&settings.identity.attempts, &counting)
    }

    /// The service, whose rates of addresses and callers all processes count together where they can.
    pub(crate) fn rates(&self, service: Service) -> Service {
        if self.tier.is_none() {
            return service;
        }
        let (near, replicas) = (self.clone(), self.replicas);
        service.rates(move |name, rate| {
            near.limit(name, rate).unwrap_or_else(|| {
                let part = rate.part_of(replicas);
                Arc::new(stanchion::resilience::rate::KeyedRate::<String>::new(&part))
            })
        })
    }

    /// The first module tells whether the tier is there; the shop does without it for as long as it takes.
    pub(crate) fn watched_by(&self, modules: &mut Vec<Module>) {
        let Some(tier) = self.tier.clone() else {
            return;
        };
        if modules.is_empty() {
            return;
        }
        let first = modules.remove(0).degraded_unless("cache", move || {
            let tier = tier.clone();
            async move { tier.check().map_err(str::to_owned) }
        });
        modules.insert(0, first);
    }

    fn remote(&self, cache: &str) -> Option<Arc<dyn Remote>> {
        self.tier.as_ref().map(|tier| tier.of(cache))
    }

    /// Limits without Redis: each process counts by itself, with its part.
    fn limit(&self, name: &str, rate: &RateSettings) -> Option<Arc<dyn KeyLimit>> {
        self.tier.as_ref()?;
        let settings = SharedRateSettings {
            url: Some(self.section.secret_url()),
            prefix: format!("{}:rate", self.section.prefix),
            limit: rate.clone(),
            replicas: self.replicas,
            budget: self.section.tier.budget,
            breaker: self.section.tier.breaker.clone(),
            ..SharedRateSettings::default()
        };
        match SharedRate::open(name, &settings, &self.metrics) {
            Ok(rate) => Some(Arc::new(rate)),
            Err(error) => {
                // The tier was opened by the same URL before.
                tracing::error!(%error, name, "a limit cannot be shared");
                None
            }
        }
    }
}

impl CacheSection {
    fn secret_url(&self) -> SecretString {
        SecretString::from(self.url.clone())
    }
}
