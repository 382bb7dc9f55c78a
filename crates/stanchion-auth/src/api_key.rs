//! API keys: long-lived bearer secrets of users and services. Pure decisions; the store is yours.
//!
//! A key is `sk_`, 43 letters and digits that hold 256 random bits, and a checksum of 4: a scanner that finds one in a
//! repository knows it for certain, and a mistyped one is refused without asking a store. Stored is its SHA-256 alone:
//! what is random needs no slow hash. It is sent as `Authorization: Bearer sk_…`, over HTTP and gRPC alike: one header,
//! which proxies and loggers know to hide, and one place where a service learns who calls.
//!
//! ```
//! use stanchion_auth::api_key::{ApiKey, ApiKeyRow};
//! use stanchion_auth::{Permissions, Subject};
//!
//! let (now, user) = (stanchion_runtime::clock::now(), stanchion_runtime::id::new_v7());
//! let key = ApiKey::generate();
//! let row = ApiKeyRow {
//!     id: stanchion_runtime::id::new_v7(),
//!     owner: Subject::User(user),
//!     scopes: Permissions::parse("order:read order:write")?,
//!     expires_at: None,
//!     revoked_at: None,
//! };
//! // Stored: the row by `key.hash()`. Shown once: `key.expose()`. Its owner lost a permission since:
//! let held = Permissions::parse("order:read")?;
//! let caller = row.principal(&held, now).expect("the key lives");
//! assert!(caller.is(user) && caller.allows("order:read") && !caller.allows("order:write"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use aws_lc_rs::digest;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use stanchion_runtime::random;
use uuid::Uuid;

use crate::encoding::to_hex;
use crate::permission::Permissions;
use crate::principal::{Principal, Subject};

/// What a key begins with, so that people and scanners know one when they see it.
pub const PREFIX: &str = "sk_";

/// Letters and digits alone: a double click takes the whole key.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// So many of 62 hold 256 bits.
const RANDOM_CHARACTERS: usize = 43;

/// So many of 62 tell a random text from a key with one error in 14 million.
const CHECK_CHARACTERS: usize = 4;

/// How much of the random part may be shown to tell one key from another: of 256 bits, 232 stay unknown.
const HINT_CHARACTERS: usize = 4;

/// An API key. Shown once, stored never.
#[derive(Debug, Clone)]
pub struct ApiKey(SecretString);

/// The SHA-256 of an API key, which is all a store knows of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApiKeyHash([u8; 32]);

/// What a store keeps of a key, as far as it decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// Its id, which is no secret.
    pub id: Uuid,
    /// As whom its bearer acts.
    pub owner: Subject,
    /// What its bearer may, at most.
    pub scopes: Permissions,
    /// When it ends, if it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        let random: String = characters().take(RANDOM_CHARACTERS).collect();
        let check = check(&random);
        Self(SecretString::from(format!("{PREFIX}{random}{check}")))
    }

    /// The key in this text; `None` for what cannot be one, without asking any store.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.strip_prefix(PREFIX)?;
        let fits = body.len() == RANDOM_CHARACTERS + CHECK_CHARACTERS
            && body.bytes().all(|byte| ALPHABET.contains(&byte));
        if !fits {
            return None;
        }
        let (random, told) = body.split_at(RANDOM_CHARACTERS);
        (check(random) == told).then(|| Self(SecretString::from(text)))
    }

    /// Whether it looks like one, valid or not.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// What the store knows it by.
    #[must_use]
    pub fn hash(&self) -> ApiKeyHash {
        let digest = digest::digest(&digest::SHA256, self.0.expose_secret().as_bytes());
        ApiKeyHash(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }

    /// Its beginning, by which its owner tells it from others.
    #[must_use]
    pub fn hint(&self) -> String {
        let shown = PREFIX.len() + HINT_CHARACTERS;
        format!("{}…", &self.0.expose_secret()[..shown])
    }

    /// The text for whoever gets it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl ApiKeyRow {
    /// Who bears the key, if it lives at `now`: its owner, with those of its scopes that the owner holds still.
    ///
    /// It has no roles: what policies give to a role would be no matter of its scopes. Whoever knows the owner's roles sets them
    /// as [`bound_by`](Principal::bound_by), so that it escapes nothing that is forbidden to one.
    #[must_use]
    pub fn principal(&self, held: &Permissions, now: Timestamp) -> Option<Principal> {
        let expired = self.expires_at.is_some_and(|at| at <= now);
        if expired || self.revoked_at.is_some() {
            return None;
        }
        let both = self.scopes.iter().filter(|name| held.allows(name));
        Some(Principal {
            subject: self.owner.clone(),
            roles: std::collections::BTreeSet::new(),
            bound_by: std::collections::BTreeSet::new(),
            permissions: Permissions::new(both).unwrap_or_default(),
            session: None,
            on_behalf_of: None,
            expires_at: self.expires_at,
        })
    }
}

impl ApiKeyHash {
    /// The bytes a store keeps.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for ApiKeyHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ApiKeyHash({}…)", to_hex(&self.0[..4]))
    }
}

/// Random letters and digits without end, each equally likely: of 64 values the two too many are passed over.
fn characters() -> impl Iterator<Item = char> {
    std::iter::repeat_with(random::bytes::<64>)
        .flatten()
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 63)))
        .map(|byte| char::from(*byte))
}

fn check(random: &str) -> String {
    let digest = digest::digest(&digest::SHA256, random.as_bytes());
    let bytes = digest.as_ref().iter().take(CHECK_CHARACTERS);
    bytes
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use stanchion_runtime::{clock, id};

    use super::*;

    fn row(scopes: &str) -> ApiKeyRow {
        ApiKeyRow {
            id: id::new_v7(),
            owner: Subject::User(id::new_v7()),
            scopes: Permissions::parse(scopes).unwrap(),
            expires_at: None,
            revoked_at: None,
        }
    }

    fn all() -> Permissions {
        Permissions::parse("admin:*").unwrap()
    }

    #[test]
    fn a_key_is_read_as_it_was_made() {
        let key = ApiKey::generate();
        assert_eq!(key.expose().len(), 3 + 43 + 4);
        assert!(ApiKey::is_one(key.expose()));
        assert_eq!(ApiKey::parse(key.expose()).unwrap().hash(), key.hash());
        assert_ne!(ApiKey::generate().hash(), key.hash());
    }

    #[test]
    fn a_mistyped_key_is_none() {
        let key = ApiKey::generate();
        let text = key.expose();
        let mut others = vec![
            String::new(),
            PREFIX.to_owned(),
            text[1..].to_owned(),
            text[..text.len() - 1].to_owned(),
            format!("{text}0"),
            format!(" {text}"),
            format!("{PREFIX}{}", "0".repeat(1 << 20)),
            format!("{PREFIX}{}", "é".repeat(23)) + "0",
        ];
        for at in PREFIX.len()..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            others.push(String::from_utf8(changed).unwrap());
        }
        // By chance one in 14 million passes; two of these many never do.
        let passed = others.iter().filter(|other| ApiKey::parse(other).is_some());
        assert!(passed.count() <= 1, "the checksum does not check");
    }

    #[test]
    fn letters_and_digits_are_equally_likely() {
        let mut seen = std::collections::BTreeMap::new();
        for character in characters().take(62_000) {
            *seen.entry(character).or_insert(0_u32) += 1;
        }
        assert_eq!(seen.len(), 62);
        // Each 1,000 times, give or take eight standard deviations.
        assert!(
            seen.values().all(|times| (750..1_250).contains(times)),
            "{seen:?}"
        );
    }

    #[test]
    fn a_bearer_may_what_key_and_owner_may() {
        let (now, key) = (clock::now(), row("order:read order:write user:*"));
        let held = Permissions::parse("*:read order:*").unwrap();
        let caller = key.principal(&held, now).unwrap();
        assert_eq!(caller.permissions.to_string(), "order:read order:write");
        assert_eq!((caller.subject, caller.session), (key.owner, None));
    }

    #[test]
    fn a_key_ends_at_its_time_or_when_it_is_revoked() {
        let now = clock::now();
        let ending = ApiKeyRow {
            expires_at: Some(now),
            ..row("order:read")
        };
        let before = now - SignedDuration::from_millis(1);
        assert!(ending.principal(&all(), before).is_some());
        assert!(ending.principal(&all(), now).is_none());
        let revoked = ApiKeyRow {
            revoked_at: Some(now),
            ..row("order:read")
        };
        assert!(revoked.principal(&all(), before).is_none());
    }

    #[test]
    fn a_key_shows_a_hint_and_nothing_more() {
        let key = ApiKey::generate();
        let (text, hint) = (key.expose(), key.hint());
        assert_eq!(hint, format!("{}…", &text[..7]));
        let shown = format!("{key:?} {:?}", key.hash());
        assert!(!shown.contains(&text[3..]), "{shown}");
    }
}
