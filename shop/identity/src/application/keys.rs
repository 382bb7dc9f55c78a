use std::sync::Arc;

use stanchion::auth::key::{KeyChange, KeyRecord, KeyRing, KeyState, SigningKey, rotation};
use stanchion::auth::key::{OpenError, RotationPolicy};
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;

use super::ports::SealedKey;
use super::{Failure, Identity, StartError, Work, retried};

impl Identity {
    /// Takes the steps in the life of the signing keys that are due, and uses what the store then has.
    pub(crate) async fn turn_keys(&self) -> Result<(), StartError> {
        retried(|| self.take_due_steps()).await?;
        let stored = self.keys.all(&self.db).await?;
        let keys: Vec<_> = stored
            .into_iter()
            .map(|key| self.unseal(key))
            .collect::<Result<_, _>>()?;
        self.tokens.replace_ring(Arc::new(KeyRing::new(keys)?));
        Ok(())
    }

    async fn take_due_steps(&self) -> Result<(), Failure> {
        if self.due_steps(&self.records(&self.db).await?).is_empty() {
            return Ok(());
        }
        let metadata = Metadata::new(None);
        let work = Work::begin(&self.db, &metadata);
        // Another process may have been faster: what is due is asked again when it is our turn.
        self.users.take_turn(work.rows()).await?;
        for step in self.due_steps(&self.records(work.rows()).await?) {
            self.take_step(&work, step).await?;
        }
        work.commit().await.map(drop)
    }

    fn due_steps(&self, records: &[KeyRecord]) -> Vec<KeyChange> {
        let policy = RotationPolicy::for_tokens_of(self.tokens.ttl());
        rotation::plan(records, clock::now(), &policy)
    }

    async fn records(&self, on: &dyn stanchion::sql::Query) -> Result<Vec<KeyRecord>, Failure> {
        let keys = self.keys.all(on).await?;
        Ok(keys.into_iter().map(|key| key.record).collect())
    }

    async fn take_step(&self, work: &Work<'_>, step: KeyChange) -> Result<(), Failure> {
        let now = clock::now();
        match step {
            KeyChange::Generate(state) => {
                let key = self.seal(&SigningKey::generate(), state);
                self.keys.add(work.rows(), &key).await
            }
            KeyChange::Move { kid, to } => self.keys.set_state(work.rows(), &kid, to, now).await,
            KeyChange::Remove { kid } => self.keys.remove(work.rows(), &kid).await,
        }
    }

    fn seal(&self, key: &SigningKey, state: KeyState) -> SealedKey {
        let record = KeyRecord {
            kid: key.kid().to_owned(),
            state,
            since: clock::now(),
        };
        let sealed = self.sealing.seal(&key.to_pkcs8(), record.kid.as_bytes());
        SealedKey { record, sealed }
    }

    fn unseal(&self, key: SealedKey) -> Result<(KeyRecord, SigningKey), StartError> {
        let SealedKey { record, sealed } = key;
        let opened: Result<_, OpenError> = self.sealing.open(&sealed, record.kid.as_bytes());
        Ok((record, SigningKey::from_pkcs8(&opened?)?))
    }
}
