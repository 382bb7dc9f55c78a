use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use shop_kernel::UserId;
use stanchion::auth::secret::{Purpose, Signer};
use stanchion::runtime::{clock, id};
use uuid::Uuid;

/// What tells such a text from others at a glance.
const PREFIX: &str = "dt_";
const DEVICE: Purpose = Purpose::new("known-device");
/// So long a device stays known that nobody logs in with.
pub(crate) const KNOWN_FOR: SignedDuration = SignedDuration::from_hours(180 * 24);
/// After this it gets a new proof with its next login.
const NEW_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Tells devices that have logged in to an account before, by what it signed for them then: nothing of it is stored.
///
/// It proves nothing but that, and opens nothing: whoever steals it may try so many passwords as its owner (the *device
/// cookie* of OWASP).
#[derive(Debug)]
pub(super) struct Devices(Arc<Signer>);

/// A device that has logged in to this account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) user: UserId,
    pub(super) device: Uuid,
    pub(super) is_old: bool,
}

impl Devices {
    pub(super) fn new(signer: Arc<Signer>) -> Self {
        Self(signer)
    }

    pub(super) fn issue(&self, user: UserId) -> String {
        let seconds = clock::now().as_second().to_be_bytes();
        let device = id::new_v7();
        let payload = [user.0.as_bytes().as_slice(), device.as_bytes(), &seconds];
        format!("{PREFIX}{}", self.0.stamp(DEVICE, &payload.concat()))
    }

    pub(super) fn read(&self, text: &str) -> Option<Known> {
        let payload = self.0.read(DEVICE, text.strip_prefix(PREFIX)?)?;
        let (user, rest) = payload.split_at_checked(16)?;
        let (device, seconds) = rest.split_at_checked(16)?;
        let seconds = i64::from_be_bytes(seconds.try_into().ok()?);
        let age = clock::now().duration_since(Timestamp::from_second(seconds).ok()?);
        let known = Known {
            user: UserId(Uuid::from_slice(user).ok()?),
            device: Uuid::from_slice(device).ok()?,
            is_old: age > NEW_AFTER,
        };
        (age <= KNOWN_FOR).then_some(known)
    }
}
