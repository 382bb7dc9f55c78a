//! The signing keys: turned when they are due, or when an operator asks; reread when a token names one that is not known.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stanchion::auth::key::rotation::{self, Haste};
use stanchion::auth::key::{
    KeyChange, KeyId, KeyListing, KeyRecord, KeyRing, KeyState, OpenError, OperatedKeys,
    RotationPolicy, SigningKey,
};
use stanchion::auth::token::Claims;
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::{clock, task};
use stanchion::sql::Query;
use tokio::time::Instant;

use super::ports::SealedKey;
use super::{Failure, Identity, StartError, Work, retried};
use crate::domain::Event;
use crate::domain::event::KeyTurn;

/// Tokens that name keys nobody knows make a process read the store once in this time (row E12 of the fault tables).
const UNKNOWN_AGAIN: Duration = Duration::from_secs(10);

impl Identity {
    /// Takes the steps in the life of the signing keys that are due, and uses what the store then has.
    pub(crate) async fn turn_keys(&self) -> Result<(), StartError> {
        let ring = self.reread_keys().await?;
        let policy = self.rotation_policy();
        if ring.rotate(clock::now(), &policy).is_empty() {
            return Ok(());
        }
        let due = |records: &[KeyRecord]| rotation::plan(records, clock::now(), &policy);
        retried(|| self.take_steps(&due, KeyTurn::Due)).await?;
        self.reread_keys().await.map(drop)
    }

    /// What a token says, if it is an access token for the API.
    pub(crate) async fn claims(&self, token: &str) -> Option<Claims> {
        let read = || self.tokens.verify(token, clock::now()).ok();
        self.read_token(token, read).await
    }

    /// What `read` makes of a token, by the keys known here, and by newer ones if it names one that is not known: another
    /// process may have turned them.
    pub(super) async fn read_token<T>(
        &self,
        token: &str,
        read: impl Fn() -> Option<T>,
    ) -> Option<T> {
        let known = read();
        if known.is_some() || !self.tokens.names_unknown_key(token) {
            return known;
        }
        let mut reread = self.keys_reread.lock().await;
        if reread.is_none_or(|at: Instant| at.elapsed() >= UNKNOWN_AGAIN) {
            *reread = Some(Instant::now());
            if let Err(error) = self.reread_keys().await {
                tracing::warn!(%error, "the signing keys could not be reread; the ones in use stay");
            }
        }
        drop(reread);
        read()
    }

    /// Uses what the store has. One after the other: who read before a rotation must not undo what was read after it.
    pub(super) async fn reread_keys(&self) -> Result<Arc<KeyRing>, StartError> {
        let _reading = self.keys_reading.lock().await;
        let ring = KeyRing::new(self.opened(&self.db).await?)?;
        // Held by nobody else yet, it takes over which signatures are known to hold.
        self.tokens.replace_ring(Arc::new(ring));
        Ok(self.tokens.ring())
    }

    async fn opened(&self, on: &dyn Query) -> Result<Vec<(KeyRecord, SigningKey)>, StartError> {
        let stored = self.keys.all(on).await?;
        stored.iter().map(|key| self.unseal(key)).collect()
    }

    fn rotation_policy(&self) -> RotationPolicy {
        RotationPolicy::for_tokens_of(self.tokens.ttl()).with_algorithm(self.signing_algorithm)
    }

    /// Takes the steps that `decide` finds due, in one transaction. Another process may have been faster: what is due
    /// is asked when it is our turn.
    async fn take_steps(
        &self,
        decide: &(dyn Fn(&[KeyRecord]) -> Vec<KeyChange> + Sync),
        because: KeyTurn,
    ) -> Result<(), Failure> {
        let metadata = Metadata::new(None);
        let mut work = Work::begin(&self.db, &metadata);
        self.users.take_turn(work.rows()).await?;
        let opened = self.opened(work.rows()).await;
        let opened = opened.map_err(|error| Failure::Broken(error.to_string()))?;
        let records: Vec<_> = opened.into_iter().map(|(record, _)| record).collect();
        let steps = decide(&records);
        // Of the first key nobody has to hear: there is no older one.
        if !steps.is_empty() && !records.is_empty() {
            work.record(&Event::SigningKeysTurned { because })?;
        }
        for step in steps {
            self.take_step(&work, step).await?;
        }
        work.commit().await.map(drop)
    }

    async fn take_step(&self, work: &Work<'_>, step: KeyChange) -> Result<(), Failure> {
        let now = clock::now();
        match step {
            KeyChange::Generate(state) => {
                let key = self.seal(&self.generate().await?, state);
                self.keys.add(work.rows(), &key).await
            }
            KeyChange::Move { kid, to } => self.keys.set_state(work.rows(), &kid, to, now).await,
            KeyChange::Remove { kid } => self.keys.remove(work.rows(), &kid).await,
        }
    }

    /// An RSA key takes a while.
    async fn generate(&self) -> Result<SigningKey, Failure> {
        let algorithm = self.signing_algorithm;
        let made = task::blocking("signing key", move || SigningKey::generate_for(algorithm)).await;
        let made = made.map_err(|error| Failure::Broken(error.to_string()))?;
        made.map_err(|error| Failure::Broken(error.to_string()))
    }

    fn seal(&self, key: &SigningKey, state: KeyState) -> SealedKey {
        SealedKey {
            kid: key.kid().to_owned(),
            state,
            since: clock::now(),
            sealed: self.sealing.seal(&key.to_pkcs8(), key.kid().as_bytes()),
        }
    }

    fn unseal(&self, sealed: &SealedKey) -> Result<(KeyRecord, SigningKey), StartError> {
        let opened: Result<_, OpenError> = self.sealing.open(&sealed.sealed, sealed.kid.as_bytes());
        let key = SigningKey::from_pkcs8(&opened?)?;
        let record = KeyRecord {
            kid: sealed.kid.clone(),
            algorithm: key.algorithm(),
            state: sealed.state,
            since: sealed.since,
        };
        Ok((record, key))
    }

    async fn listed(&self) -> Result<Vec<KeyListing>, StartError> {
        let stored = self.keys.all(&self.db).await?;
        let listed = stored.iter().map(|key| {
            let (record, _) = self.unseal(key)?;
            let sealed_by = KeyId::of_sealed(&key.sealed).ok_or(OpenError::NotSealed)?;
            Ok(KeyListing {
                kid: record.kid,
                algorithm: record.algorithm.name().to_owned(),
                state: record.state.name().to_owned(),
                since: record.since,
                sealed_by: sealed_by.to_string(),
            })
        });
        listed.collect()
    }

    async fn reseal_keys(&self) -> Result<u64, StartError> {
        let mut resealed = 0;
        for key in self.keys.all(&self.db).await? {
            let anew = self.sealing.reseal(&key.sealed, key.kid.as_bytes())?;
            let Some(anew) = anew else { continue };
            let done = self.keys.reseal(&self.db, &key.kid, &key.sealed, &anew);
            resealed += u64::from(done.await?);
        }
        Ok(resealed)
    }
}

/// What an operator does with them; this process uses what comes of it at once, others when they hear of it.
#[async_trait]
impl OperatedKeys for Identity {
    fn store(&self) -> String {
        self.log.to_string()
    }

    async fn list(&self) -> Result<Vec<KeyListing>, String> {
        self.listed().await.map_err(|error| error.to_string())
    }

    async fn rotate(&self, haste: Haste) -> Result<Vec<KeyListing>, String> {
        let policy = self.rotation_policy();
        let asked = |records: &[KeyRecord]| rotation::at_once(records, &policy, haste);
        let because = KeyTurn::from(haste);
        let done = retried(|| self.take_steps(&asked, because)).await;
        done.map_err(|error| error.to_string())?;
        let reread = self.reread_keys().await;
        reread.map_err(|error| error.to_string())?;
        self.list().await
    }

    async fn reseal(&self) -> Result<u64, String> {
        let resealed = self.reseal_keys().await;
        resealed.map_err(|error| error.to_string())
    }
}
