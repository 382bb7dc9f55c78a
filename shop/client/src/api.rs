use std::time::Duration;

use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stanchion_client::{Call, ClientSettings, HttpClient, Metrics, Response};

use crate::ShopError;

const BASE: &str = "/api/v1";

/// How long the shop may be asked to wait, and what the way takes beside it.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(30);
const WAY: Duration = Duration::from_secs(5);

/// The shop as anybody may use it; clones share connections and policy.
#[derive(Debug, Clone)]
pub struct ShopClient {
    calls: HttpClient,
    /// Calls that wait have a policy of their own: that they take long says nothing of the shop's health.
    waits: HttpClient,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// How many there are in all, where that is counted.
    pub total: Option<u64>,
    /// What asks for the next part.
    pub next_cursor: Option<String>,
}

/// What stands around every answer.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
struct Meta {
    total: Option<u64>,
    next_cursor: Option<String>,
}

impl ShopClient {
    /// A client of the shop at that URL, such as `https://shop.example`. Makes no connection yet.
    ///
    /// # Errors
    /// [`ShopError::Setup`]
    pub fn new(url: &str) -> Result<Self, ShopError> {
        Self::with(url, &ClientSettings::default(), &Metrics::default())
    }

    /// The same with other settings, and measured.
    ///
    /// # Errors
    /// [`ShopError::Setup`]
    pub fn with(
        url: &str,
        settings: &ClientSettings,
        metrics: &Metrics,
    ) -> Result<Self, ShopError> {
        let mut waiting = settings.clone();
        waiting.policy.timeout = WAIT_MAX + WAY;
        waiting.policy.deadline = WAIT_MAX + WAY;
        waiting.policy.breaker_on = false;
        waiting.policy.hedge_on = false;
        Ok(Self {
            calls: HttpClient::new("shop", url, settings, metrics)?,
            waits: HttpClient::new("shop-waits", url, &waiting, metrics)?,
        })
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        self.calls.call(method, &format!("{BASE}{path}"))
    }

    /// A call whose answer the shop may keep back for a while.
    pub(crate) fn waiting(&self, method: Method, path: &str, wait: Duration) -> Call<'_> {
        let call = self.waits.call(method, &format!("{BASE}{path}"));
        let seconds = wait.min(WAIT_MAX).as_secs();
        if seconds == 0 {
            return call;
        }
        call.header("prefer", format!("wait={seconds}"))
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }
}

/// A path with a query of what is given.
pub(crate) fn asking(path: &str, query: &impl Serialize) -> Result<String, ShopError> {
    let query = serde_urlencoded::to_string(query);
    let query = query.map_err(|error| ShopError::NotUnderstood(error.to_string()))?;
    Ok(match query.as_str() {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    })
}

/// An id or a SKU as a part of a path.
pub(crate) fn part(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

pub(crate) fn data<T: DeserializeOwned>(answer: &Response) -> Result<T, ShopError> {
    let read = answer.json::<Envelope<T>>().map(|read| read.data);
    read.map_err(|error| ShopError::NotUnderstood(error.to_string()))
}

pub(crate) fn page<T: DeserializeOwned>(answer: &Response) -> Result<Page<T>, ShopError> {
    let read = answer.json::<Envelope<Vec<T>>>();
    let read = read.map_err(|error| ShopError::NotUnderstood(error.to_string()))?;
    Ok(Page {
        items: read.data,
        total: read.meta.total,
        next_cursor: read.meta.next_cursor,
    })
}
