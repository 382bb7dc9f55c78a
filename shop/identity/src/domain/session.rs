use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shop_kernel::UserId;
use uuid::Uuid;

/// The most live sessions of one user; a further login ends the one that was used least recently.
pub(crate) const LIVE_MAX: i64 = 100;

/// The longest description of a device that is kept, in characters.
pub(crate) const DEVICE_CHARACTERS_MAX: usize = 200;

/// The longest network address that is kept, in characters.
const ADDRESS_CHARACTERS_MAX: usize = 64;

/// Which login session; also the id of its family of refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub(crate) struct SessionId(pub(crate) Uuid);

/// From where somebody logged in; personal data, so `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Client {
    device: Option<String>,
    address: Option<String>,
    /// What it shows to be known from an earlier login; not kept with the session.
    proof: Option<String>,
}

/// A login on one device that has not ended.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) client: Client,
    pub(crate) created_at: Timestamp,
    pub(crate) last_used_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl Client {
    /// What the client says it is, and the address it came from.
    pub(crate) fn new(device: Option<&str>, address: Option<&str>) -> Self {
        Self {
            device: device.and_then(|text| shown(text, DEVICE_CHARACTERS_MAX)),
            address: address.and_then(|text| shown(text, ADDRESS_CHARACTERS_MAX)),
            proof: None,
        }
    }

    /// The same with what it shows to be known from an earlier login.
    pub(crate) fn proven_by(self, proof: Option<&str>) -> Self {
        Self {
            proof: proof.map(str::to_owned),
            ..self
        }
    }

    pub(crate) fn proof(&self) -> Option<&str> {
        self.proof.as_deref()
    }

    pub(crate) fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    pub(crate) fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(***)")
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The client chose this text: no control characters, and no longer than a page can show.
fn shown(text: &str, characters_max: usize) -> Option<String> {
    let clean = text.chars().filter(|c| !c.is_control());
    let clean: String = clean.take(characters_max).collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_of_itself_is_cut_and_cleaned() {
        let client = Client::new(Some(&format!("\u{1b}[31m{}", "x".repeat(500))), Some(" "));
        assert_eq!(
            client.device().unwrap().chars().count(),
            DEVICE_CHARACTERS_MAX
        );
        assert!(client.device().unwrap().starts_with("[31mx"));
        assert_eq!(client.address(), None);
    }

    #[test]
    fn where_somebody_logged_in_does_not_print_itself() {
        let client = Client::new(Some("phone"), Some("192.0.2.1"));
        assert_eq!(format!("{client:?}"), "Client(***)");
    }
}
