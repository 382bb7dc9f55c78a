//! One issuer with its keys: fetched by one at a time, for all who wait.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_runtime::task::spawn;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::subscriber::NoSubscriber;

use super::keeping::{Keeping, Step};
use super::metrics::OfIssuer;
use super::{Fetch, Issuer, Source, documents};
use crate::key::KeyRing;

/// How long a fetch may take in all, with discovery.
const LOADED_WITHIN: Duration = Duration::from_secs(10);

/// How long a token that names an unknown key waits for the answer, while others are known: its bearer may be anybody.
const JOINED_FOR: Duration = Duration::from_secs(2);

/// How long the place of the keys counts that discovery told, unless they are not there any more.
const DISCOVERED_FOR: Duration = Duration::from_secs(3_600);

/// The longest name of a key that is asked for.
const KID_BYTES_MAX: usize = 256;

/// What came of the one fetch that all who need it wait for.
type Told = watch::Receiver<Option<Result<(), String>>>;

pub(super) struct Known {
    pub(super) issuer: Issuer,
    fetch: Arc<dyn Fetch>,
    keeping: Mutex<Keeping>,
    /// The fetch that is under way, or the last one.
    flight: Mutex<Option<Told>>,
    place: Mutex<Option<(String, Instant)>>,
    metrics: OfIssuer,
}

/// Why there is no ring with that key.
pub(super) enum NoKeys {
    Unknown,
    Unavailable(String),
}

impl Known {
    pub(super) fn new(issuer: Issuer, fetch: Arc<dyn Fetch>, metrics: OfIssuer) -> Arc<Self> {
        Arc::new(Self {
            issuer,
            fetch,
            keeping: Mutex::default(),
            flight: Mutex::default(),
            place: Mutex::default(),
            metrics,
        })
    }

    /// The keys among which that one is.
    pub(super) async fn ring_for(self: &Arc<Self>, kid: &str) -> Result<Arc<KeyRing>, NoKeys> {
        if let Source::Fixed(ring) = &self.issuer.keys {
            return Ok(Arc::clone(ring));
        }
        if kid.len() > KID_BYTES_MAX {
            return Err(self.unknown());
        }
        let step = self.keeping.lock().step(kid, Instant::now());
        match step {
            Step::Verify => return Ok(self.ring()),
            Step::VerifyAndRefresh => {
                drop(self.asking());
                return Ok(self.ring());
            }
            Step::Fetch | Step::Unknown | Step::Unavailable => {}
        }
        // One that began for somebody else may bring it too.
        let told = match step {
            Step::Fetch => self.asking(),
            _ => self.under_way(),
        };
        let asked = told.is_some();
        let said = match told {
            Some(told) => self.heard(told).await,
            None => self.last_said(),
        };
        self.found(kid, asked, said)
    }

    /// Loads the keys unless there are some.
    pub(super) async fn load_first(self: &Arc<Self>) -> Result<(), String> {
        let is_usable = self.keeping.lock().is_usable(Instant::now());
        if is_usable || matches!(self.issuer.keys, Source::Fixed(_)) {
            return Ok(());
        }
        match self.asking() {
            Some(told) => self.heard(told).await,
            None => self.last_said(),
        }
    }

    fn found(
        &self,
        kid: &str,
        asked: bool,
        said: Result<(), String>,
    ) -> Result<Arc<KeyRing>, NoKeys> {
        let now = Instant::now();
        let mut keeping = self.keeping.lock();
        if keeping.ring.verifying(kid).is_some() && keeping.is_usable(now) {
            return Ok(Arc::clone(&keeping.ring));
        }
        if !keeping.is_usable(now) {
            let why = said
                .err()
                .unwrap_or_else(|| "it was asked a moment ago".into());
            return Err(NoKeys::Unavailable(why));
        }
        // Only what the issuer has said is remembered.
        if asked && said.is_ok() {
            keeping.missed(kid, now);
            let kids = i64::try_from(keeping.unknown_kids()).unwrap_or(i64::MAX);
            self.metrics.unknown_kids.set(kids);
        }
        drop(keeping);
        Err(self.unknown())
    }

    fn unknown(&self) -> NoKeys {
        self.metrics.unknown.inc();
        NoKeys::Unknown
    }

    fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.keeping.lock().ring)
    }

    /// The fetch that is under way, or a new one; `None` if one has begun a moment ago.
    fn asking(self: &Arc<Self>) -> Option<Told> {
        let mut flight = self.flight.lock();
        if let Some(told) = flight.as_ref().filter(|told| is_under_way(told)) {
            return Some(told.clone());
        }
        if !self.keeping.lock().begin(Instant::now()) {
            return None;
        }
        let (tell, told) = watch::channel(None);
        *flight = Some(told.clone());
        let known = Arc::clone(self);
        // Of no request: whoever began it may go away.
        tracing::subscriber::with_default(NoSubscriber::default(), || {
            drop(spawn("issuer keys", async move {
                tell.send_replace(Some(known.load_in_time().await));
            }));
        });
        Some(told)
    }

    fn under_way(&self) -> Option<Told> {
        let flight = self.flight.lock();
        flight.as_ref().filter(|told| is_under_way(told)).cloned()
    }

    fn last_said(&self) -> Result<(), String> {
        let flight = self.flight.lock();
        let said = flight.as_ref().and_then(|told| told.borrow().clone());
        said.unwrap_or(Ok(()))
    }

    async fn heard(&self, mut told: Told) -> Result<(), String> {
        let is_usable = self.keeping.lock().is_usable(Instant::now());
        let patience = if is_usable { JOINED_FOR } else { LOADED_WITHIN };
        let heard = timeout(patience, told.wait_for(Option::is_some)).await;
        // Without a word it ends only when the runtime does, or by a panic.
        let said = heard.ok().and_then(Result::ok);
        let said = said.and_then(|said| said.clone());
        said.unwrap_or_else(|| Err("it takes too long".into()))
    }

    async fn load_in_time(&self) -> Result<(), String> {
        let loaded = timeout(LOADED_WITHIN, self.load()).await;
        let loaded = loaded.unwrap_or_else(|_| Err("it takes too long".into()));
        if let Err(reason) = &loaded {
            self.keeping.lock().failed();
            self.metrics.failed.inc();
            // It may have moved.
            *self.place.lock() = None;
            tracing::warn!(
                issuer = self.issuer.iss,
                reason,
                "the keys of an issuer could not be had; the known ones count for a while"
            );
        }
        loaded
    }

    async fn load(&self) -> Result<(), String> {
        let url = match &self.issuer.keys {
            Source::Jwks(url) => url.clone(),
            _ => self.discovered().await?,
        };
        let set = self.fetch.fetch(&url).await?;
        let ring = documents::ring(&set.body, self.issuer.algorithms)?;
        self.metrics.loaded.inc();
        let keys = i64::try_from(ring.len()).unwrap_or(i64::MAX);
        self.metrics.keys.set(keys);
        self.keeping
            .lock()
            .loaded(ring, set.max_age, Instant::now());
        Ok(())
    }

    async fn discovered(&self) -> Result<String, String> {
        let now = Instant::now();
        if let Some((url, since)) = &*self.place.lock()
            && now - *since < DISCOVERED_FOR
        {
            return Ok(url.clone());
        }
        let iss = &self.issuer.iss;
        let configuration = self.fetch.fetch(&documents::configuration_url(iss)).await?;
        let url = documents::jwks_url(&configuration.body, iss)?;
        *self.place.lock() = Some((url.clone(), now));
        Ok(url)
    }
}

/// Whether its answer may still come; after a panic it does not.
fn is_under_way(told: &Told) -> bool {
    told.borrow().is_none() && told.has_changed().is_ok()
}
