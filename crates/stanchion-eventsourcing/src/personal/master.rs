use super::{NotOpened, SealingKey};

/// The master key that seals the subjects' keys, and others that still open what they sealed.
///
/// A change of the master key has three steps, so that every process can read at any time what any other writes: give
/// all of them the new key as another one, then make it the one that seals and the old one the other, then have
/// everything resealed. With one process the first step can be left out.
///
/// ```
/// use stanchion_eventsourcing::{MasterKeys, SealingKey};
///
/// let (old, new) = (SealingKey::generate(), SealingKey::generate());
/// let keys = MasterKeys::from(new.clone()).and_opening(old.clone());
/// assert_eq!(keys.sealing().fingerprint(), new.fingerprint());
/// assert!(keys.has(&old.fingerprint()));
/// ```
#[derive(Clone, Debug)]
pub struct MasterKeys {
    sealing: SealingKey,
    others: Vec<SealingKey>,
}

impl From<SealingKey> for MasterKeys {
    fn from(sealing: SealingKey) -> Self {
        Self {
            sealing,
            others: Vec::new(),
        }
    }
}

impl MasterKeys {
    /// Opens what this one sealed as well.
    #[must_use]
    pub fn and_opening(mut self, other: SealingKey) -> Self {
        self.others.push(other);
        self
    }

    /// The one that seals.
    #[must_use]
    pub fn sealing(&self) -> &SealingKey {
        &self.sealing
    }

    /// Whether the key of that fingerprint is among them.
    #[must_use]
    pub fn has(&self, fingerprint: &str) -> bool {
        self.all().any(|key| key.fingerprint() == fingerprint)
    }

    /// The fingerprints of all of them, the one that seals first.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<String> {
        self.all().map(SealingKey::fingerprint).collect()
    }

    /// A subject's key that one of them sealed.
    ///
    /// # Errors
    /// See [`NotOpened`]; [`NotOpened::OtherKey`] if none of them did.
    pub fn opened(&self, sealed: &[u8], subject: &str) -> Result<SealingKey, NotOpened> {
        let sealed_by = SealingKey::fingerprint_of(sealed)?;
        let master = self.all().find(|key| key.fingerprint() == sealed_by);
        SealingKey::opened_by(master.unwrap_or(&self.sealing), sealed, subject)
    }

    fn all(&self) -> impl Iterator<Item = &SealingKey> {
        std::iter::once(&self.sealing).chain(&self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_either_master_key_sealed_opens_and_what_a_third_did_is_named() {
        let [old, new, third] = [(); 3].map(|()| SealingKey::generate());
        let keys = MasterKeys::from(new.clone()).and_opening(old.clone());
        let subject = SealingKey::generate();
        for master in [&old, &new] {
            let sealed = subject.sealed_by(master, "a");
            let opened = keys.opened(&sealed, "a").unwrap();
            assert_eq!(opened.fingerprint(), subject.fingerprint());
        }
        let sealed = subject.sealed_by(&third, "a");
        let refused = keys.opened(&sealed, "a").unwrap_err().to_string();
        assert!(refused.contains(&third.fingerprint()), "{refused}");
        assert!(matches!(keys.opened(b"", "a"), Err(NotOpened::NotSealed)));
    }
}
