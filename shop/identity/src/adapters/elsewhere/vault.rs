use std::collections::HashMap;

use async_trait::async_trait;
use shop_contracts::grpc::identity::v1 as pb;
use stanchion::eventsourcing::{KEY_AGE_MAX, SealingKey, SubjectKey, Vault, VaultError};
use tokio::time::Instant;

use super::IdentityElsewhere;
use crate::adapters::grpc::SUBJECTS_MAX;

/// The most keys remembered; beyond that the memory starts anew.
const REMEMBERED_MAX: usize = 10_000;

/// The customers' keys in identity's vault.
#[async_trait]
impl Vault for IdentityElsewhere {
    async fn keys_to_open(
        &self,
        subjects: &[String],
    ) -> Result<HashMap<String, SubjectKey>, VaultError> {
        let (mut known, unknown) = self.remembered(subjects);
        if !unknown.is_empty() {
            known.extend(self.ask(&unknown, false).await?);
        }
        Ok(known)
    }

    async fn keys_as_stored(
        &self,
        subjects: &[String],
    ) -> Result<HashMap<String, SubjectKey>, VaultError> {
        self.ask(subjects, false).await
    }

    async fn keys_to_seal(
        &self,
        subjects: &[String],
    ) -> Result<HashMap<String, SubjectKey>, VaultError> {
        self.ask(subjects, true).await
    }
}

impl IdentityElsewhere {
    async fn ask(
        &self,
        subjects: &[String],
        make: bool,
    ) -> Result<HashMap<String, SubjectKey>, VaultError> {
        let mut found = HashMap::with_capacity(subjects.len());
        for some in subjects.chunks(SUBJECTS_MAX) {
            let since = Instant::now();
            let request = pb::GetSubjectKeysRequest {
                subjects: some.to_vec(),
                make,
            };
            let answer = self.client.clone().get_subject_keys(request).await;
            let answer = answer.map_err(|status| VaultError(status.to_string()))?;
            for key in answer.into_inner().keys {
                let (subject, key) = self.opened(key, since)?;
                found.insert(subject, key);
            }
        }
        Ok(found)
    }

    fn opened(
        &self,
        key: pb::SubjectKey,
        since: Instant,
    ) -> Result<(String, SubjectKey), VaultError> {
        let pb::SubjectKey {
            subject,
            sealed_key,
        } = key;
        let Some(sealed) = sealed_key else {
            return Ok((subject, SubjectKey::Shredded));
        };
        let opened = SealingKey::opened_by(&self.way, &sealed, &subject);
        let opened = opened.map_err(|error| {
            VaultError(format!(
                "the key of {subject} came {error}: has identity another server.secret?"
            ))
        })?;
        self.remember(&subject, &opened, since);
        Ok((subject, SubjectKey::Present(opened)))
    }

    /// The keys known without asking, and the subjects that have to be asked for.
    fn remembered(&self, subjects: &[String]) -> (HashMap<String, SubjectKey>, Vec<String>) {
        let remembered = self.remembered.lock();
        let mut known = HashMap::with_capacity(subjects.len());
        let mut unknown = Vec::new();
        for subject in subjects {
            match remembered.get(subject) {
                Some((key, since)) if since.elapsed() < KEY_AGE_MAX => {
                    known.insert(subject.clone(), SubjectKey::Present(key.clone()));
                }
                _ => unknown.push(subject.clone()),
            }
        }
        (known, unknown)
    }

    fn remember(&self, subject: &str, key: &SealingKey, asked: Instant) {
        let mut remembered = self.remembered.lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        // From before the question on: a shredding since then must not be missed for longer.
        remembered.insert(subject.to_owned(), (key.clone(), asked));
    }
}
