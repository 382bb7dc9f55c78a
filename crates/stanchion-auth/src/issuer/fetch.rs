use std::time::Duration;

use async_trait::async_trait;

/// Gets the documents of issuers: the port behind which the transport is.
///
/// What is asked for comes from what was pinned and from discovery documents, so the adapter must stand up to a URL of
/// somebody else's: bound time and size, refuse addresses that are not the internet's unless the operator allowed them,
/// after name resolution and again at every redirect. `stanchion::issuers` has one.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// The document at that URL, answered with 200.
    ///
    /// # Errors
    /// Why there is none, for the log and the operator.
    async fn fetch(&self, url: &str) -> Result<Fetched, String>;
}

/// A document as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The whole body; more than 256 KiB are no document of an issuer.
    pub body: Vec<u8>,
    /// What its `Cache-Control: max-age` says, if it says something.
    pub max_age: Option<Duration>,
}
