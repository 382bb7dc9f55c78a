//! Refresh tokens in families: each used once, a reused one ends its family. Pure decisions; the store is yours.
//!
//! A **family** is one login session. Its tokens follow each other: using the live one makes its child live. A token
//! that is presented a second time was copied by somebody, so the whole family is revoked, the thief's tokens and the
//! owner's alike. Without an [`Overlap`], which is how it is unless asked for, of two parallel uses of one token one
//! wins and the other revokes both. With one, the token right before the live one is answered with the same child again
//! for at most ten seconds; any older one revokes.
//! Nothing but the store decides: no cache, no process's clock, no time of process start. Without an overlap no time of
//! use is looked at, so a second use within the same microsecond is one.
//!
//! # What the store must do
//! Keep a row for each [`Family`] and each [`RefreshRow`] (unique by hash) until the family has expired: a used row
//! is what betrays a copy. Then, in **one transaction**:
//!
//! 1. Lock the family, which orders this against a logout: no token is made after a revocation has committed.
//!    (SQLite has one writer and needs no lock.) A logout updates the same row.
//!    ```sql
//!    select id from refresh_families
//!    where id = (select family from refresh_tokens where hash = $1) for update
//!    ```
//! 2. Then, by a **statement of its own** (the first one's snapshot may be older than its lock), read row, family and,
//!    for an overlap, the row's child; act as [`Overlap::decide`] says.
//! 3. [`Decision::Rotate`]: mark it used `where state = 'live'`, insert the child. Commit, then answer.
//! 4. [`Decision::RevokeFamily`]: set `revoked_at` where it is null, record the event, and commit before the refusal is
//!    answered. [`Decision::Again`]: nothing is written.
//!
//! A store that can lock, mark and insert in one statement needs no transaction for the common case: the child of a token is
//! known before anything is read ([`Overlap::child_of`]). If it changes no row, the steps above tell why.
//!
//! If the commit's outcome is unknown, answer "unavailable": the client's next try rotates, is answered with the same child
//! within the overlap, or is a reuse. Every refusal is the same `401` outside.

mod overlap;

use std::fmt;

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use stanchion_runtime::{id, random};
use uuid::Uuid;

pub use overlap::{Nonce, OVERLAP_MAX, Overlap, Use};

use crate::encoding::{from_base64url, to_base64url, to_hex};
use crate::secret::equal;

/// How long a family lives at most, however often it is used.
pub const FAMILY_TTL: SignedDuration = SignedDuration::from_hours(24 * 30);

/// How long a token may lie unused.
pub const IDLE_TTL: SignedDuration = SignedDuration::from_hours(24 * 7);

/// What a refresh token begins with, so that people and scanners know one when they see it.
pub const PREFIX: &str = "rt_";

const TOKEN_BYTES: usize = 32;

/// A refresh token: `rt_` and 256 bits in base64url that nobody can guess. Stored never, shown to its client alone.
///
/// Two are compared in a time that does not depend on what they are.
#[derive(Debug, Clone)]
pub struct RefreshToken(SecretString);

/// The SHA-256 of a refresh token's text, which is all a store knows of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefreshHash([u8; 32]);

/// Whether a token may still be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefreshState {
    /// The newest of its family.
    Live,
    /// It has a child.
    Used,
}

/// A login session's line of refresh tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// The session's id, `sid` in access tokens.
    pub id: Uuid,
    /// Whose session it is.
    pub user: Uuid,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// When it was revoked, by logout or by reuse.
    pub revoked_at: Option<Timestamp>,
}

/// What a store keeps of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshRow {
    /// Its hash.
    pub hash: RefreshHash,
    /// Its family.
    pub family: Uuid,
    /// 0 for the first of the family, one more for each child.
    pub generation: u32,
    /// The token it came from.
    pub parent: Option<RefreshHash>,
    /// Whether it may still be used.
    pub state: RefreshState,
    /// When it ends if it is not used.
    pub expires_at: Timestamp,
}

/// How long tokens and families live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifetimes {
    /// How long a token may lie unused; 7 days by default.
    pub idle: SignedDuration,
    /// How long a family lives at most; 30 days by default.
    pub family: SignedDuration,
}

/// What to do about a presented refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Mark it used and insert its child.
    Rotate(Child),
    /// It was used a moment ago: answer with this child of it again, and write nothing. Only with an [`Overlap`].
    Again(RefreshToken),
    /// It was used before: revoke its family.
    RevokeFamily,
    /// It or its family has expired: refuse.
    Expired,
    /// Its family was revoked: refuse.
    Revoked,
    /// No such token: refuse.
    Unknown,
}

/// The successor of a token that is about to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    family: Uuid,
    generation: u32,
    parent: RefreshHash,
    expires_at: Timestamp,
}

/// What to do about a presented token without an overlap, from what the store has of it and its family at `now`.
///
/// ```
/// use stanchion_auth::refresh::{Decision, Family, Lifetimes, decide};
///
/// let now = stanchion_runtime::clock::now();
/// let lifetimes = Lifetimes::default();
/// let user = stanchion_runtime::id::new_v7();
/// let (family, token, row) = Family::begin(user, now, &lifetimes);
/// assert_eq!(token.hash(), row.hash);
///
/// let Decision::Rotate(child) = decide(Some(&row), Some(&family), now, &lifetimes) else {
///     panic!("a live token rotates");
/// };
/// let (_next, next_row) = child.issue();
/// assert_eq!(next_row.parent, Some(row.hash));
/// ```
#[must_use]
pub fn decide(
    row: Option<&RefreshRow>,
    family: Option<&Family>,
    now: Timestamp,
    lifetimes: &Lifetimes,
) -> Decision {
    let (Some(row), Some(family)) = (row, family) else {
        return Decision::Unknown;
    };
    if row.family != family.id {
        return Decision::Unknown;
    }
    if family.revoked_at.is_some() {
        return Decision::Revoked;
    }
    if row.state == RefreshState::Used {
        return Decision::RevokeFamily;
    }
    if now >= row.expires_at || now >= family.expires_at {
        return Decision::Expired;
    }
    Decision::Rotate(Child {
        family: family.id,
        generation: row.generation.saturating_add(1),
        parent: row.hash,
        expires_at: idle_end(family, now, lifetimes),
    })
}

impl Family {
    /// A new session of that user with its first token.
    #[must_use]
    pub fn begin(
        user: Uuid,
        now: Timestamp,
        lifetimes: &Lifetimes,
    ) -> (Self, RefreshToken, RefreshRow) {
        let family = Self {
            id: id::new_v7(),
            user,
            expires_at: later(now, lifetimes.family),
            revoked_at: None,
        };
        let token = RefreshToken::generate();
        let row = RefreshRow {
            hash: token.hash(),
            family: family.id,
            generation: 0,
            parent: None,
            state: RefreshState::Live,
            expires_at: idle_end(&family, now, lifetimes),
        };
        (family, token, row)
    }
}

impl Child {
    /// The token to hand out and the row to insert; each call makes another token, so call it once.
    #[must_use]
    pub fn issue(self) -> (RefreshToken, RefreshRow) {
        let token = RefreshToken::generate();
        let row = self.row_of(&token);
        (token, row)
    }

    /// The row to insert for a token that [`Overlap::child_of`] gave.
    #[must_use]
    pub fn row_of(&self, token: &RefreshToken) -> RefreshRow {
        RefreshRow {
            hash: token.hash(),
            family: self.family,
            generation: self.generation,
            parent: Some(self.parent),
            state: RefreshState::Live,
            expires_at: self.expires_at,
        }
    }
}

impl RefreshToken {
    /// A new token.
    #[must_use]
    pub fn generate() -> Self {
        Self::of_bytes(random::bytes())
    }

    fn of_bytes(bytes: [u8; TOKEN_BYTES]) -> Self {
        Self(SecretString::from(format!(
            "{PREFIX}{}",
            to_base64url(bytes)
        )))
    }

    /// The token in this text; `None` for what cannot be one, without asking any store.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let random = from_base64url(text.strip_prefix(PREFIX)?)?;
        (random.len() == TOKEN_BYTES).then(|| Self(SecretString::from(text)))
    }

    /// What the store knows it by.
    #[must_use]
    pub fn hash(&self) -> RefreshHash {
        let digest = digest::digest(&digest::SHA256, self.0.expose_secret().as_bytes());
        RefreshHash(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }

    /// The text for the client.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for RefreshToken {
    fn eq(&self, other: &Self) -> bool {
        equal(self.expose().as_bytes(), other.expose().as_bytes())
    }
}

impl Eq for RefreshToken {}

impl RefreshHash {
    /// The bytes a store keeps.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for RefreshHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for RefreshHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RefreshHash({}…)", to_hex(&self.0[..4]))
    }
}

impl RefreshState {
    /// The state's name, as a store keeps it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Used => "used",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Live, Self::Used]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

impl Lifetimes {
    /// When a token ends that is made now and never used; its family may end before.
    #[must_use]
    pub fn idle_end(&self, now: Timestamp) -> Timestamp {
        later(now, self.idle)
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            idle: IDLE_TTL,
            family: FAMILY_TTL,
        }
    }
}

/// A token never outlives its family.
fn idle_end(family: &Family, now: Timestamp, lifetimes: &Lifetimes) -> Timestamp {
    lifetimes.idle_end(now).min(family.expires_at)
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
