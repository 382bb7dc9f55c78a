//! What customers' keys are sealed with on their way between processes, on top of the way's own protection.

use stanchion::auth::secret::{Purpose, Signer};
use stanchion::eventsourcing::SealingKey;

const PURPOSE: Purpose = Purpose::new("identity.subject-keys.v1");

/// A key that every process derives from the secret which all of them share.
pub(crate) fn key(signer: &Signer) -> SealingKey {
    // The tag of nothing: 32 bytes that nobody without the secret knows.
    let text = signer.stamp(PURPOSE, b"");
    SealingKey::from_text(&text.into()).expect("a tag has as many bytes as a key")
}
