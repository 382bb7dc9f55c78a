use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde_json::json;

use crate::Problem;
use crate::context::{Context, header_text};
use crate::describe::{Describe, Description};

/// The longest wait a client gets.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Kept of the request's time for making the answer.
const MARGIN: Duration = Duration::from_millis(250);

/// `Prefer: wait=5`: the client would rather wait than ask again.
///
/// While a request waits it holds no admission permit; how many may wait is bounded. At stop it is
/// answered as it stands.
#[derive(Clone, Debug)]
pub struct Prefer {
    wait: Option<Duration>,
    context: Arc<Context>,
}

impl Prefer {
    /// How long the client would wait, at most 30 seconds.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.wait
    }

    /// Waits for `settled`, if the client wants that, as long as it wants.
    ///
    /// `None` when it did not happen in time, the service stops, or too many requests wait already:
    /// answer as things stand then. `Preference-Applied` is added to the answer.
    pub async fn until<T>(&self, settled: impl Future<Output = T>) -> Option<T> {
        let mut wait = self.wait?;
        let _ = self
            .context
            .preference
            .set(format!("wait={}", wait.as_secs()));
        let _waiting = self.context.begin_waiting()?;
        if let Some(remaining) = self.context.remaining() {
            wait = wait.min(remaining.saturating_sub(MARGIN));
        }
        tokio::select! {
            biased;
            result = settled => Some(result),
            () = self.context.stopping().cancelled() => None,
            () = tokio::time::sleep(wait) => None,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Prefer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let context = Context::of(parts)?;
        let text = header_text(&parts.headers, http::HeaderName::from_static("prefer"));
        Ok(Self {
            wait: text.as_deref().and_then(wait),
            context,
        })
    }
}

impl Describe for Prefer {
    fn describe(description: &mut Description) {
        let about =
            "`wait=N`: answer when it is settled, or as it stands after N seconds (at most 30).";
        let schema = json!({"type": "string", "examples": ["wait=5"]});
        description.header("Prefer", false, about, schema);
    }
}

/// A preference that is not understood is ignored, as RFC 7240 wants.
fn wait(text: &str) -> Option<Duration> {
    let preferences = text.split([',', ';']).map(str::trim);
    let seconds = preferences
        .filter_map(|preference| preference.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, value)| value.trim().trim_matches('"').parse::<u64>().ok())?;
    Some(Duration::from_secs(seconds).min(WAIT_MAX)).filter(|wait| !wait.is_zero())
}
