//! The keys that a process signs and verifies with.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::jwk::Jwks;
use super::rotation::{KeyChange, KeyRecord, KeyState, RotationPolicy, plan};
use super::verifying::VerifyingKey;
use super::{KeyError, SigningKey};

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
        let mut ring = Self::default();
        for key in published.verifying_keys()? {
            ring.admit(key)?;
        }
        Ok(ring)
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

    /// What others verify with: all keys, the published ones included, in order of `kid`.
    #[must_use]
    pub fn jwks(&self) -> Jwks {
        Jwks {
            keys: self
                .verifying
                .values()
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
