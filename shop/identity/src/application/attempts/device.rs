use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use shop_kernel::UserId;
use stanchion::auth::secret::{Purpose, Signer, equal};
use stanchion::runtime::{clock, id};
use uuid::Uuid;

use crate::application::ports::Credentials;
use crate::domain::{PasswordHash, folded};

/// What tells such a text from others at a glance.
const PREFIX: &str = "dt_";
const DEVICE: Purpose = Purpose::new("known-device");
/// So long a device stays known that nobody logs in with.
pub(crate) const KNOWN_FOR: SignedDuration = SignedDuration::from_hours(180 * 24);
/// After this it gets a new proof with its next login.
const NEW_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Names reach no counter and no device as they were typed: they are personal data, and of any length.
const NAME: Purpose = Purpose::new("login-name");
/// A device knows by which password it was let in, and nothing of that.
const PASSWORD: Purpose = Purpose::new("known-device-password");
/// Of the 32 bytes of a digest: two do not meet.
const TAG_BYTES: usize = 16;

/// What tells one name or password from another.
pub(super) type Tag = [u8; TAG_BYTES];

/// Tells devices that have logged in to an account before, by what it signed for them then: nothing of it is stored.
///
/// It proves nothing but that, and opens nothing: whoever steals it may try so many passwords as its owner (the *device
/// cookie* of OWASP). It is good under the names that its account had then and as long as that has the same password: whoever
/// logs in to an account again and again has as many as wanted, and none that is of use elsewhere, or once the password is
/// another one.
#[derive(Debug)]
pub(super) struct Devices(Arc<Signer>);

/// A device that has logged in to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) device: Uuid,
    user: UserId,
    names: [Tag; 2],
    password: Tag,
    is_old: bool,
}

/// An account that somebody has just logged in to.
pub(crate) struct Account<'a> {
    pub(crate) user: UserId,
    /// Its username and its address.
    pub(crate) names: [&'a str; 2],
    pub(crate) password: &'a PasswordHash,
}

impl Devices {
    pub(super) fn new(signer: Arc<Signer>) -> Self {
        Self(signer)
    }

    /// What a device is known by from now on; `None` if what it has shown says the same.
    pub(super) fn introduce(&self, account: &Account<'_>, shown: Option<Known>) -> Option<String> {
        let names = account.names.map(|name| self.name(name));
        let password = self.password(account.password);
        let shown = shown.filter(|shown| shown.user == account.user);
        let is_same = |shown: &Known| {
            !shown.is_old && shown.names == names && equal(&shown.password, &password)
        };
        if shown.as_ref().is_some_and(is_same) {
            return None;
        }
        // The same device has no new count of its failures; but whoever has copied what it was known by shares the count of no
        // device that knows the new password.
        let same = shown.filter(|shown| equal(&shown.password, &password));
        let device = same.map_or_else(id::new_v7, |same| same.device);
        let seconds = clock::now().as_second().to_be_bytes();
        let [one, other] = names;
        let payload = [
            account.user.0.as_bytes().as_slice(),
            device.as_bytes(),
            &seconds,
            &one,
            &other,
            &password,
        ];
        let stamped = self.0.stamp(DEVICE, &payload.concat());
        Some(format!("{PREFIX}{stamped}"))
    }

    pub(super) fn read(&self, text: &str) -> Option<Known> {
        let payload = self.0.read(DEVICE, text.strip_prefix(PREFIX)?)?;
        let (user, rest) = payload.split_first_chunk::<16>()?;
        let (device, rest) = rest.split_first_chunk::<16>()?;
        let (seconds, rest) = rest.split_first_chunk::<8>()?;
        let (one, rest) = rest.split_first_chunk::<TAG_BYTES>()?;
        let (other, rest) = rest.split_first_chunk::<TAG_BYTES>()?;
        let seconds = i64::from_be_bytes(*seconds);
        let age = clock::now().duration_since(Timestamp::from_second(seconds).ok()?);
        let known = Known {
            device: Uuid::from_bytes(*device),
            user: UserId(Uuid::from_bytes(*user)),
            names: [*one, *other],
            password: rest.try_into().ok()?,
            is_old: age > NEW_AFTER,
        };
        (age <= KNOWN_FOR).then_some(known)
    }

    /// Whether it has logged in to this account by this very password.
    pub(super) fn has_logged_in(&self, known: &Known, to: &Credentials) -> bool {
        known.user == to.user && equal(&known.password, &self.password(&to.password))
    }

    /// Spellings of one name are one.
    pub(super) fn name(&self, login: &str) -> Tag {
        let name = match login.contains('@') {
            true => folded(login.trim()),
            false => login.trim().to_ascii_lowercase(),
        };
        self.tag(NAME, &name)
    }

    fn password(&self, password: &PasswordHash) -> Tag {
        self.tag(PASSWORD, password.expose())
    }

    fn tag(&self, purpose: Purpose, text: &str) -> Tag {
        let digest = self.0.sign(purpose, text.as_bytes());
        std::array::from_fn(|at| digest[at])
    }
}

impl Known {
    /// Whether its account had that name.
    pub(super) fn is_of(&self, name: &Tag) -> bool {
        self.names.contains(name)
    }
}
