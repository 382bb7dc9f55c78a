//! What is to be done: a JSON file.

use std::time::Duration;

use serde::Deserialize;
use stanchion_load::{Arrivals, Criteria};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// The service's public port.
    pub(crate) url: String,
    /// Where clients are made, if that is another port.
    pub(crate) admin_url: Option<String>,
    pub(crate) dialect: Dialect,
    /// Requests a second; where a search begins.
    pub(crate) rate: f64,
    pub(crate) seconds: f64,
    pub(crate) warm_up_seconds: f64,
    #[serde(default)]
    pub(crate) arrivals: Arrivals,
    pub(crate) connections: usize,
    /// After this a request is an error.
    pub(crate) timeout_seconds: f64,
    pub(crate) seed: u64,
    /// Clients that introspect and get tokens of their own.
    pub(crate) clients: usize,
    /// Sessions, each with a chain of refresh tokens.
    pub(crate) families: usize,
    /// Weights of checking, issuing, refreshing.
    pub(crate) mix: [u32; 3],
    /// What held means: p99 in milliseconds, no error.
    pub(crate) p99_ms: f64,
    /// Without it the rate is run once.
    pub(crate) search: Option<Range>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) precision: f64,
}

/// How the service is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dialect {
    /// RFC 6749 and 7662 at `/oauth2`; clients and sessions are made at `/admin` without ceremony.
    Peer,
    /// The same endpoints of the shop: clients by its admin port, sessions by the code flow.
    Shop,
    /// The shop's own login: `/api/v1/auth/login`, `/auth/refresh`, `/users/me`.
    Login,
}

impl Plan {
    pub(crate) fn criteria(&self) -> Criteria {
        Criteria::p99(Duration::from_secs_f64(self.p99_ms / 1_000.0))
    }
}
