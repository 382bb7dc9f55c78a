use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{SealingKey, SubjectKey, Vault, VaultError};

/// A vault in memory, for tests: its keys go with it, and with them everything sealed.
#[derive(Default)]
pub struct MemoryVault {
    /// `None`: shredded.
    keys: Mutex<HashMap<String, Option<SealingKey>>>,
}

impl MemoryVault {
    /// Deletes a subject's key for ever.
    pub fn shred(&self, subject: &str) {
        self.keys.lock().insert(subject.to_owned(), None);
    }
}

#[async_trait]
impl Vault for MemoryVault {
    async fn keys_to_open(
        &self,
        subjects: &[String],
    ) -> Result<HashMap<String, SubjectKey>, VaultError> {
        let keys = self.keys.lock();
        let found = subjects.iter().map(|subject| {
            let key = match keys.get(subject) {
                Some(Some(key)) => SubjectKey::Present(key.clone()),
                Some(None) => SubjectKey::Shredded,
                None => SubjectKey::Absent,
            };
            (subject.clone(), key)
        });
        Ok(found.collect())
    }

    async fn keys_to_seal(
        &self,
        subjects: &[String],
    ) -> Result<HashMap<String, SubjectKey>, VaultError> {
        {
            let mut keys = self.keys.lock();
            for subject in subjects {
                keys.entry(subject.clone())
                    .or_insert_with(|| Some(SealingKey::generate()));
            }
        }
        self.keys_to_open(subjects).await
    }
}
