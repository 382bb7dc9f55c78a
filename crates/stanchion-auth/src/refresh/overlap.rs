//! A short time in which the token before the live one is answered with the same child again.

use std::fmt;

use aws_lc_rs::hmac;
use jiff::{SignedDuration, Timestamp};
use stanchion_runtime::random;

use super::{
    Decision, Family, Lifetimes, RefreshHash, RefreshRow, RefreshState, RefreshToken, decide,
};
use crate::secret::{Purpose, Signer};

/// The longest overlap that can be had; longer ones become this.
pub const OVERLAP_MAX: SignedDuration = SignedDuration::from_secs(10);

/// What the key is for.
const PURPOSE: Purpose = Purpose::new("refresh-child");

const NONCE_BYTES: usize = 16;

/// For how long a used token is answered once more, for clients that use one twice at once or never got their answer.
///
/// The child is `HMAC-SHA256(key, parent's hash ‖ nonce)`: the store keeps its hash and the nonce, and neither these nor the
/// key alone make a token. (A token's hash stands for its family and generation, and is known before anything is read.)
/// Only the token right before the live one qualifies, only while that one was not used, and only so long after its use by
/// the store's clock. A thief who is that quick gets the child too: the next use of it by either reveals both.
///
/// ```
/// use jiff::SignedDuration;
/// use stanchion_auth::refresh::{Decision, Family, Lifetimes, Overlap, RefreshState, Use};
/// use stanchion_auth::secret::{Signer, generate};
///
/// let signer = Signer::new(&generate())?;
/// let (overlap, lifetimes) = (Overlap::of(SignedDuration::from_secs(5), &signer), Lifetimes::default());
/// let now = stanchion_runtime::clock::now();
/// let (family, _token, mut row) = Family::begin(stanchion_runtime::id::new_v7(), now, &lifetimes);
///
/// let (child, nonce) = overlap.child_of(&row.hash);
/// row.state = RefreshState::Used;
/// let used = Use { at: now, child: child.hash(), child_state: RefreshState::Live, nonce };
/// let again = overlap.decide(Some(&row), Some(&family), Some(&used), now, &lifetimes);
/// assert_eq!(again, Decision::Again(child));
/// # Ok::<(), stanchion_auth::secret::SecretTooShort>(())
/// ```
#[derive(Clone, Default)]
pub struct Overlap {
    window: SignedDuration,
    /// `None` without a window: children are random then.
    key: Option<hmac::Key>,
}

/// What a child was made with besides the key and its parent; kept with the child's row until that is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; NONCE_BYTES]);

/// What became of a used token, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// When it was used, by the clock that also tells `now`: the store's.
    pub at: Timestamp,
    /// Its child.
    pub child: RefreshHash,
    /// Whether the child was used as well.
    pub child_state: RefreshState,
    /// What the child was made with; `None` for one that was made without an overlap.
    pub nonce: Option<Nonce>,
}

impl Overlap {
    /// None, as by default: every second use is a reuse.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// So long, at most [`OVERLAP_MAX`]; zero is [`none`](Self::none).
    ///
    /// Every process needs a signer of the same secret. After the secret was changed, what was used before is a reuse.
    #[must_use]
    pub fn of(window: SignedDuration, signer: &Signer) -> Self {
        let window = window.clamp(SignedDuration::ZERO, OVERLAP_MAX);
        let tag = || signer.sign(PURPOSE, b"key");
        let key = (!window.is_zero()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &tag()));
        Self { window, key }
    }

    /// How long it is.
    #[must_use]
    pub fn window(&self) -> SignedDuration {
        self.window
    }

    /// The child of the token with that hash, to be handed out once the store has made it so. Another one at each call.
    #[must_use]
    pub fn child_of(&self, parent: &RefreshHash) -> (RefreshToken, Option<Nonce>) {
        let Some(key) = &self.key else {
            return (RefreshToken::generate(), None);
        };
        let nonce = Nonce(random::bytes());
        (derived(key, parent, nonce), Some(nonce))
    }

    /// What to do about a presented token, from what the store has of it, its family and its use at the store's `now`.
    #[must_use]
    pub fn decide(
        &self,
        row: Option<&RefreshRow>,
        family: Option<&Family>,
        used: Option<&Use>,
        now: Timestamp,
        lifetimes: &Lifetimes,
    ) -> Decision {
        match (decide(row, family, now, lifetimes), row, family, used) {
            (Decision::RevokeFamily, Some(row), Some(family), Some(used)) => {
                let again = self.again(&row.hash, family, used, now);
                again.map_or(Decision::RevokeFamily, Decision::Again)
            }
            (decision, ..) => decision,
        }
    }

    fn again(
        &self,
        parent: &RefreshHash,
        family: &Family,
        used: &Use,
        now: Timestamp,
    ) -> Option<RefreshToken> {
        // A store that took over may have a clock behind the one before: no further than the window either.
        let in_time = now.duration_since(used.at).abs() < self.window;
        let is_last = used.child_state == RefreshState::Live;
        if !in_time || !is_last || now >= family.expires_at {
            return None;
        }
        let child = derived(self.key.as_ref()?, parent, used.nonce?);
        // Of another secret: nobody can tell what was handed out.
        (child.hash() == used.child).then_some(child)
    }
}

impl Nonce {
    /// The bytes a store keeps.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; NONCE_BYTES] {
        &self.0
    }
}

impl From<[u8; NONCE_BYTES]> for Nonce {
    fn from(bytes: [u8; NONCE_BYTES]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Nonce(***)")
    }
}

impl fmt::Debug for Overlap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Overlap({})", self.window)
    }
}

fn derived(key: &hmac::Key, parent: &RefreshHash, nonce: Nonce) -> RefreshToken {
    let mut context = hmac::Context::with_key(key);
    context.update(parent.as_bytes());
    context.update(nonce.as_bytes());
    let tag = context.sign();
    RefreshToken::of_bytes(tag.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}

#[cfg(test)]
mod tests;
