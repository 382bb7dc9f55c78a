use serde::{Deserialize, Serialize};
use serde_json::Value;
use stanchion_auth::secret::{Purpose, Signer};

/// A place in one list in one order: after the row with this key.
///
/// Signed, not secret: it names nothing that the list itself does not show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    pub(crate) endpoint: String,
    pub(crate) sort: String,
    pub(crate) descending: bool,
    pub(crate) filters: Vec<(String, String)>,
    pub(crate) limit: u32,
    pub(crate) key: Value,
}

impl Cursor {
    pub(crate) fn stamp(&self, signer: &Signer) -> String {
        signer.stamp(
            Purpose::CURSOR,
            &serde_json::to_vec(self).unwrap_or_default(),
        )
    }

    pub(crate) fn read(signer: &Signer, text: &str) -> Option<Self> {
        serde_json::from_slice(&signer.read(Purpose::CURSOR, text)?).ok()
    }
}
