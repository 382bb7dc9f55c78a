//! Other people's issuers over https: what [`auth::issuer`](crate::auth::issuer) decides with what
//! [`client::Outside`](crate::client::Outside) fetches.
//!
//! ```
//! use std::sync::Arc;
//!
//! use stanchion::auth::{Issuer, Permissions};
//! use stanchion::client::{Metrics, OutsideSettings};
//! use stanchion::issuers;
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let login = Issuer::discovered("https://login.example/realms/shop", "hello")
//!     .permitting(Permissions::parse("order:read")?);
//! let tokens = issuers::over_https([login], &OutsideSettings::default(), &Metrics::default())?;
//! # let _: Arc<dyn stanchion::server::Authenticate> = tokens;
//! # Ok(()) }
//! ```

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::CACHE_CONTROL;
use stanchion_auth::issuer::{Fetch, Fetched, Issuer, Issuers, IssuersError};
use stanchion_client::{Outside, OutsideSettings, SetupError};
use stanchion_telemetry::Metrics;

/// Why there are no issuers.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// They cannot be trusted as they are given.
    #[error(transparent)]
    Issuers(#[from] IssuersError),
    /// Nothing can be fetched.
    #[error(transparent)]
    Fetching(#[from] SetupError),
}

/// Documents of issuers, fetched from public addresses by https, or from where the settings allow.
#[derive(Debug, Clone)]
pub struct OverHttps(pub Outside);

/// These issuers, their keys fetched when a token first wants them; for
/// [`Service::tokens`](crate::server::Service::tokens) or [`only_for`](crate::server::only_for).
///
/// # Errors
/// [`TrustError`].
pub fn over_https(
    issuers: impl IntoIterator<Item = Issuer>,
    settings: &OutsideSettings,
    metrics: &Metrics,
) -> Result<Arc<Issuers>, TrustError> {
    let outside = Outside::new(settings, metrics)?;
    let issuers = Issuers::new(issuers, Arc::new(OverHttps(outside)), metrics)?;
    Ok(Arc::new(issuers))
}

#[async_trait]
impl Fetch for OverHttps {
    async fn fetch(&self, url: &str) -> Result<Fetched, String> {
        let document = self.0.get(url).await.map_err(|error| error.to_string())?;
        let kept = document.headers.get(CACHE_CONTROL);
        Ok(Fetched {
            max_age: kept.and_then(|kept| max_age(kept.to_str().ok()?)),
            body: document.body,
        })
    }
}

/// `max-age` among the directives (RFC 9111, 5.2.2.1), the first of several; nothing if the answer is not to be kept at all.
fn max_age(directives: &str) -> Option<Duration> {
    let mut told = None;
    for directive in directives.split(',').map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => told = told.or(value.trim_matches('"').parse().ok()),
            _ => {}
        }
    }
    told.map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_an_answer_may_be_kept_is_read_from_its_directives() {
        for (directives, seconds) in [
            ("public, max-age=600", Some(600)),
            ("Max-Age=\"60\"", Some(60)),
            ("no-store", Some(0)),
            ("no-cache, max-age=600", Some(0)),
            ("max-age=600, no-store", Some(0)),
            ("max-age=60, max-age=600", Some(60)),
            ("s-maxage=5", None),
            ("max-age=soon", None),
            ("", None),
        ] {
            let read = max_age(directives).map(|age| age.as_secs());
            assert_eq!(read, seconds, "{directives}");
        }
    }
}
