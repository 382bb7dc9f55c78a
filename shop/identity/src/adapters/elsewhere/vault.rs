use std::collections::HashMap;

use async_trait::async_trait;
use shop_contracts::grpc::identity::v1 as pb;
use stanchion::eventsourcing::{KEY_AGE_MAX, SealingKey, SubjectKey, Vault, VaultError};
use tokio::time::Instant;

use super::IdentityElsewhere;
use crate::adapters::grpc::SUBJECTS_MAX;

/// The most keys remembered; beyond that the old ones go, or all if none is old.
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
            self.remembered.lock().remove(&subject);
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
            remembered.retain(|_, (_, since)| since.elapsed() < KEY_AGE_MAX);
        }
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        // From before the question on: a shredding since then must not be missed for longer.
        remembered.insert(subject.to_owned(), (key.clone(), asked));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOBODY, identity_at};
    use super::*;

    fn told(elsewhere: &IdentityElsewhere, sealed_key: Option<Vec<u8>>) {
        let subject = "ada".to_owned();
        let key = pb::SubjectKey {
            subject,
            sealed_key,
        };
        elsewhere.opened(key, Instant::now()).unwrap();
    }

    #[tokio::test]
    async fn a_key_that_was_shredded_is_remembered_no_longer() {
        let elsewhere = identity_at(NOBODY);
        let sealed = SealingKey::generate().sealed_by(&elsewhere.way, "ada");
        told(&elsewhere, Some(sealed));
        assert!(elsewhere.remembered(&["ada".to_owned()]).1.is_empty());
        told(&elsewhere, None);
        assert!(elsewhere.remembered(&["ada".to_owned()]).0.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_keys_the_old_ones_go_first() {
        let (elsewhere, key) = (identity_at(NOBODY), SealingKey::generate());
        for nth in 1..REMEMBERED_MAX {
            elsewhere.remember(&nth.to_string(), &key, Instant::now());
        }
        tokio::time::advance(KEY_AGE_MAX).await;
        elsewhere.remember("young", &key, Instant::now());
        elsewhere.remember("last", &key, Instant::now());
        let both = ["young".to_owned(), "last".to_owned()];
        assert!(elsewhere.remembered(&both).1.is_empty());
        assert_eq!(elsewhere.remembered.lock().len(), both.len());
    }
}
