use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stanchion_auth::secret::{Purpose, Signer};
use stanchion_messaging::{LogId, Position};

use crate::context::{Context, header_text};
use crate::describe::{Describe, Description};
use crate::{Problem, codes};

const HEADER: &str = "consistency-token";

/// `Consistency-Token`: a read that sends it sees the write that gave it out.
///
/// A token of another module is ignored, a tampered one is 400 `INVALID_CONSISTENCY_TOKEN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsistencyToken(Option<(LogId, Position)>);

#[derive(Serialize, Deserialize)]
struct Payload(String, LogId, Position);

impl ConsistencyToken {
    /// How far a projection of that log must have come before it is read; `None` if it does not matter.
    ///
    /// A token of a log that was replaced since (a restored store) cannot be waited for and is ignored.
    #[must_use]
    pub fn position(&self, log: LogId) -> Option<Position> {
        let (wanted, position) = self.0?;
        (wanted == log).then_some(position)
    }
}

impl<S: Sync> FromRequestParts<S> for ConsistencyToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if !parts.headers.contains_key(HEADER) {
            return Ok(Self(None));
        }
        let context = Context::of(parts)?;
        let text = header_text(&parts.headers, http::HeaderName::from_static(HEADER));
        let payload = text
            .and_then(|text| context.lent.signer.read(Purpose::CONSISTENCY, &text))
            .and_then(|bytes| serde_json::from_slice::<Payload>(&bytes).ok())
            .ok_or_else(|| codes::INVALID_CONSISTENCY_TOKEN.problem())?;
        let Payload(module, log, position) = payload;
        Ok(Self(
            (module == context.module_name()).then_some((log, position)),
        ))
    }
}

impl Describe for ConsistencyToken {
    fn describe(description: &mut Description) {
        let about = "`meta.consistency_token` of a write of the same module: the answer includes that write.";
        description.header("Consistency-Token", false, about, json!({"type": "string"}));
        description.code(codes::INVALID_CONSISTENCY_TOKEN);
    }
}

/// The token of a write.
pub(crate) fn stamp(signer: &Signer, module: &str, log: LogId, position: Position) -> String {
    let payload =
        serde_json::to_vec(&Payload(module.to_owned(), log, position)).unwrap_or_default();
    signer.stamp(Purpose::CONSISTENCY, &payload)
}
