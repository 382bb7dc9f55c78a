//! The keys that a process signs and verifies with.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::algorithm::Algorithms;
use super::held::HELD_MAX;
use super::jwk::{self, Jwks};
use super::rotation::{KeyChange, KeyRecord, KeyState, RotationPolicy, plan};
use super::verifying::VerifyingKey;
use super::{KeyError, SigningKey, shared};
use crate::token::{IssueError, jws};

/// One key that signs and the others that verify, found by exact `kid`; immutable, replaced as a whole.
#[derive(Debug, Default)]
pub struct KeyRing {
    own: Vec<(KeyRecord, SigningKey)>,
    verifying: BTreeMap<String, VerifyingKey>,
}

/// Keys that do not make a ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// A record that stands beside another key.
    #[error("the record of key `{record}` stands beside the key `{key}`")]
    Mismatch {
        /// The record's kid.
        record: String,
        /// The key's own kid.
        key: String,
    },
    /// Two keys with one kid, or a key that is unusable.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl KeyRing {
    /// The ring of these keys of ours, as the store has them.
    ///
    /// # Errors
    /// [`RingError`] if a record and its key differ or a `kid` appears twice. A ring without a signing key is one
    /// that only verifies.
    pub fn new(keys: impl IntoIterator<Item = (KeyRecord, SigningKey)>) -> Result<Self, RingError> {
        let mut ring = Self::default();
        for (record, key) in keys {
            if record.kid != key.kid() {
                return Err(RingError::Mismatch {
                    record: record.kid,
                    key: key.kid().to_owned(),
                });
            }
            ring.admit(key.verifying_key().clone())?;
            ring.own.push((record, key));
        }
        Ok(ring)
    }

    /// The ring of one new key that signs since `now`.
    #[must_use]
    pub fn of(key: SigningKey, now: Timestamp) -> Self {
        let record = KeyRecord {
            kid: key.kid().to_owned(),
            algorithm: key.algorithm(),
            state: KeyState::Signing,
            since: now,
        };
        Self::new([(record, key)]).expect("one key matches its own record")
    }

    /// The ring that verifies with somebody's published keys and signs nothing.
    ///
    /// # Errors
    /// As [`Jwks::verifying_keys`].
    pub fn verifying_only(published: &Jwks) -> Result<Self, KeyError> {
        Self::of_verifying(published.verifying_keys()?)
    }

    /// Likewise, with the algorithms that are accepted of them.
    ///
    /// # Errors
    /// As [`Jwks::verifying_keys_of`].
    pub fn verifying_with(published: &Jwks, accepted: Algorithms) -> Result<Self, KeyError> {
        Self::of_verifying(published.verifying_keys_of(accepted)?)
    }

    /// The ring of the set that the operator hands over: somebody's public keys, or secrets shared with them
    /// (`"kty": "oct"`), never both.
    ///
    /// Secrets are for issuers that have nothing better: each process that has one can sign as that issuer. They are
    /// taken only if `accepted` names an HMAC, and are never published by [`jwks`](Self::jwks).
    ///
    /// # Errors
    /// [`KeyError`]: as [`Jwks::verifying_keys_of`]; [`KeyError::Symmetric`] if secrets stand beside public keys; and
    /// a secret that is shorter than its hash, or without an `alg` that is accepted.
    pub fn configured(set: &SecretString, accepted: Algorithms) -> Result<Self, KeyError> {
        let members = jwk::members(set.expose_secret().as_bytes())?;
        let is_secret = |key: &Value| key["kty"] == "oct";
        let keys = members.get("keys").and_then(Value::as_array);
        if keys.is_some_and(|keys| keys.iter().any(is_secret)) {
            return Self::of_verifying(shared::verifying_keys(members, accepted)?);
        }
        Self::verifying_with(&Jwks::from_members(members)?, accepted)
    }

    /// Likewise, as far as keys are sound; what is wrong with the others.
    ///
    /// # Errors
    /// A set that is ambiguous or holds secrets is refused whole.
    pub(crate) fn of_the_sound(
        published: &Jwks,
        accepted: Algorithms,
    ) -> Result<(Self, Vec<KeyError>), KeyError> {
        published.refuse_ambiguous()?;
        let mut unusable = Vec::new();
        let concerned = published.keys.iter();
        let concerned = concerned.filter(|jwk| VerifyingKey::concerns(jwk, accepted));
        let sound = concerned.filter_map(|jwk| {
            let key = VerifyingKey::accepted(jwk, accepted);
            key.map_err(|error| unusable.push(error)).ok()
        });
        let ring = Self::of_verifying(sound.collect())?;
        Ok((ring, unusable))
    }

    /// How many keys it verifies with.
    #[must_use]
    pub fn len(&self) -> usize {
        self.verifying.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.verifying.is_empty()
    }

    /// How many signatures that held its keys remember, for a gauge.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.verifying.values().map(VerifyingKey::remembered).sum()
    }

    /// The most that they may: 8,192 each.
    #[must_use]
    pub fn remembered_max(&self) -> usize {
        self.verifying.len().saturating_mul(HELD_MAX)
    }

    fn of_verifying(keys: Vec<VerifyingKey>) -> Result<Self, KeyError> {
        let mut ring = Self::default();
        for key in keys {
            ring.admit(key)?;
        }
        Ok(ring)
    }

    /// Those claims as a JWT of that `typ`, signed by the key that signs now: an ID token (`JWT`), a logout token.
    ///
    /// The claims are written as they are given; what they must be is the caller's to know. An access token is made by
    /// [`AccessTokens::issue`](crate::AccessTokens::issue) alone: nothing that is signed here passes for one.
    ///
    /// ```
    /// use serde_json::json;
    /// use stanchion_auth::key::{KeyRing, SigningKey};
    /// use stanchion_auth::token::jws;
    ///
    /// let ring = KeyRing::of(SigningKey::generate(), stanchion_runtime::clock::now());
    /// let claims = json!({"iss": "https://shop.example", "sub": "ada", "aud": "client-1", "exp": 1_800_000_000});
    /// let id_token = ring.sign("JWT", claims.as_object().unwrap())?;
    /// # use secrecy::ExposeSecret;
    /// let read = jws::verify(id_token.expose_secret(), &ring)?;
    /// assert_eq!(read.typ.as_deref(), Some("JWT"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`IssueError`]: no key signs here, the token would be too large, or the `typ` is that of access tokens.
    pub fn sign(
        &self,
        typ: &str,
        claims: &serde_json::Map<String, Value>,
    ) -> Result<SecretString, IssueError> {
        let key = self.signing().ok_or(IssueError::NoSigningKey)?;
        jws::sign_claims(typ, claims, key)
    }

    /// The key that signs; of several, the oldest, as [`plan`] keeps it.
    #[must_use]
    pub fn signing(&self) -> Option<&SigningKey> {
        self.own
            .iter()
            .filter(|(record, _)| record.state == KeyState::Signing)
            .min_by_key(|(record, _)| (record.since, &record.kid))
            .map(|(_, key)| key)
    }

    /// The key of exactly that `kid`.
    #[must_use]
    pub fn verifying(&self, kid: &str) -> Option<&VerifyingKey> {
        self.verifying.get(kid)
    }

    /// Takes over what `before` remembers of the keys that are in both.
    pub(crate) fn remember_as(&mut self, before: &Self) {
        for (kid, key) in &mut self.verifying {
            if let Some(before) = before.verifying.get(kid) {
                key.remember_as(before);
            }
        }
    }

    /// What others verify with: all public keys, the published ones included, in order of `kid`.
    #[must_use]
    pub fn jwks(&self) -> Jwks {
        Jwks {
            keys: self
                .verifying
                .values()
                .filter(|key| !key.is_shared())
                .map(|key| key.jwk().clone())
                .collect(),
        }
    }

    /// The records of our keys, for a store to compare.
    pub fn records(&self) -> impl Iterator<Item = &KeyRecord> {
        self.own.iter().map(|(record, _)| record)
    }

    /// The steps that are due at `now`; see [`plan`].
    #[must_use]
    pub fn rotate(&self, now: Timestamp, policy: &RotationPolicy) -> Vec<KeyChange> {
        let records: Vec<_> = self.records().cloned().collect();
        plan(&records, now, policy)
    }

    fn admit(&mut self, key: VerifyingKey) -> Result<(), KeyError> {
        let kid = key.kid().to_owned();
        match self.verifying.insert(kid.clone(), key) {
            Some(_) => Err(KeyError::DuplicateKid(kid)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &SigningKey, state: KeyState) -> KeyRecord {
        KeyRecord {
            kid: key.kid().to_owned(),
            algorithm: key.algorithm(),
            state,
            since: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn every_key_of_the_ring_is_published_and_one_signs() {
        let keys: Vec<_> = [KeyState::Published, KeyState::Signing, KeyState::VerifyOnly]
            .into_iter()
            .map(|state| {
                let key = SigningKey::generate();
                (record(&key, state), key)
            })
            .collect();
        let signing = keys[1].0.kid.clone();
        let ring = KeyRing::new(keys).unwrap();
        assert_eq!(ring.signing().unwrap().kid(), signing);
        assert_eq!(ring.jwks().keys.len(), 3);
        let remote = KeyRing::verifying_only(&ring.jwks()).unwrap();
        assert!(remote.signing().is_none() && remote.verifying(&signing).is_some());
    }

    #[test]
    fn a_record_beside_another_key_is_refused() {
        let (key, other) = (SigningKey::generate(), SigningKey::generate());
        let refusal = KeyRing::new([(record(&other, KeyState::Signing), key)]).unwrap_err();
        assert!(matches!(refusal, RingError::Mismatch { .. }));
    }

    #[test]
    fn the_same_key_twice_is_refused() {
        let key = SigningKey::generate();
        let again = SigningKey::from_pkcs8(&key.to_pkcs8()).unwrap();
        let records = [
            (record(&key, KeyState::Signing), key),
            (record(&again, KeyState::VerifyOnly), again),
        ];
        assert!(matches!(
            KeyRing::new(records),
            Err(RingError::Key(KeyError::DuplicateKid(_)))
        ));
    }

    #[test]
    fn a_shared_secret_verifies_where_it_is_accepted_and_is_never_published() {
        let set = |keys: &str| SecretString::from(format!("{{\"keys\":[{keys}]}}"));
        let secret = format!(
            r#"{{"kty":"oct","kid":"a","alg":"HS256","k":"{}"}}"#,
            "A".repeat(43)
        );
        let ring = KeyRing::configured(&set(&secret), Algorithms::HMAC).unwrap();
        assert!(ring.verifying("a").is_some() && ring.jwks().keys.is_empty());
        assert!(!format!("{ring:?}").contains("AAAA"));
        assert!(KeyRing::configured(&set(&secret), Algorithms::USUAL).is_err());
        let public = serde_json::to_string(SigningKey::generate().verifying_key().jwk()).unwrap();
        let mixed = KeyRing::configured(&set(&format!("{secret},{public}")), Algorithms::HMAC);
        assert_eq!(mixed.unwrap_err(), KeyError::Symmetric);
        let twice = KeyRing::configured(&set(&format!("{secret},{secret}")), Algorithms::HMAC);
        assert!(matches!(twice, Err(KeyError::DuplicateKid(_))));
        assert!(KeyRing::configured(&set(&public), Algorithms::USUAL).is_ok());
    }

    #[test]
    fn it_tells_how_many_signatures_its_keys_remember() {
        let (one, other) = (SigningKey::generate(), SigningKey::generate());
        let signature = one.sign(b"message");
        let ring = KeyRing::new([
            (record(&one, KeyState::Signing), one),
            (record(&other, KeyState::Published), other),
        ]);
        let ring = ring.unwrap();
        assert_eq!((ring.remembered(), ring.remembered_max()), (0, 16_384));
        let kid = ring.signing().unwrap().kid();
        assert!(ring.verifying(kid).unwrap().verify(b"message", &signature));
        assert!(!ring.verifying(kid).unwrap().verify(b"another", &signature));
        assert_eq!(ring.remembered(), 1);
    }

    #[test]
    fn a_kid_is_found_only_by_its_exact_name() {
        let ring = KeyRing::of(SigningKey::generate(), Timestamp::UNIX_EPOCH);
        let kid = ring.signing().unwrap().kid().to_owned();
        assert!(ring.verifying(&kid).is_some());
        for other in [
            "",
            "../../dev/null",
            "' or 1=1 --",
            &kid[1..],
            &format!("{kid}\0"),
        ] {
            assert!(ring.verifying(other).is_none());
        }
    }
}
