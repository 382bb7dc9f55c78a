use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::problem::StoredProblem;

/// What a repeated request is answered with; meta is made anew each time.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoredAnswer {
    Success(StoredSuccess),
    Problem(StoredProblem),
}

/// A success as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredSuccess {
    pub(crate) status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Box<RawValue>>,
}

impl StoredAnswer {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
