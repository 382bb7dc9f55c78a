use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use stanchion_eventsourcing::{
    Expected, KEY_AGE_MAX, Metadata, NewEvent, SUBJECT_CATEGORY, SealingKey, StreamId,
    SubjectEvent, SubjectKey, Vault, VaultError,
};
use tokio::time::Instant;

use crate::{Db, Engine, Row, SqlError, SqlSnapshots, UnitOfWork, Value, params};

/// The most keys remembered; beyond that the memory starts anew.
const REMEMBERED_MAX: usize = 10_000;

/// The most subjects asked for in one statement.
const ASKED_MAX: usize = 256;

/// The subjects' keys in a store's table `subject`, each sealed with a master key from outside the store.
///
/// A key is durable before it is handed out, and remembered for at most [`KEY_AGE_MAX`]: so long
/// another process may still open what was shredded here. One vault may serve several modules. Whoever
/// has neither the master key nor a row of the table reads no personal value: keep the two apart, in
/// backups too. A backup older than a shredding still has the key; it ends with the backup.
pub struct SqlVault {
    db: Db,
    master: SealingKey,
    remembered: Mutex<HashMap<String, (SealingKey, Instant)>>,
}

/// The proof that a subject's key was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shredded {
    /// When; the first time counts.
    pub at: Timestamp,
    /// Snapshots of the vault's store that named the subject and were deleted now.
    pub snapshots: u64,
}

impl SqlVault {
    /// The vault in a store whose `stanchion` migrations are applied.
    #[must_use]
    pub fn new(db: Db, master: SealingKey) -> Arc<Self> {
        Arc::new(Self {
            db,
            master,
            remembered: Mutex::default(),
        })
    }

    /// Deletes a subject's key for ever: everything sealed with it is unreadable, wherever it is.
    ///
    /// The row stays, with the time, as the proof; a subject without a row gets one, so that it never
    /// gets a key. In the same transaction [`SubjectEvent::SubjectShredded`] is recorded in the log of
    /// the vault's store: projections that keep opened values delete them when it comes, and other
    /// contexts hear of it through a relay. Snapshots of this store that name the subject are deleted
    /// afterwards; other stores' with [`SqlSnapshots::forget_subject`]. A repeat changes nothing more.
    ///
    /// # Errors
    /// The store failed. Whether the key is deleted is then unknown: do it again.
    pub async fn shred(&self, subject: &str, metadata: &Metadata) -> Result<Shredded, VaultError> {
        self.remembered.lock().remove(subject);
        self.delete_key(subject, metadata).await?;
        // Once more: it may have been read meanwhile.
        self.remembered.lock().remove(subject);
        let sql = "select shredded_at from subject where subject = $1";
        let row = self.db.one(sql, params![subject]).await.map_err(failed)?;
        let at = row.get(0).map_err(failed)?;
        let snapshots = SqlSnapshots::new(self.db.clone());
        let snapshots = snapshots.forget_subject(subject).await.map_err(failed)?;
        Ok(Shredded { at, snapshots })
    }

    async fn delete_key(&self, subject: &str, metadata: &Metadata) -> Result<(), VaultError> {
        let event = SubjectEvent::SubjectShredded {
            subject: subject.to_owned(),
        };
        let event = NewEvent::of(&event).map_err(|error| VaultError(error.to_string()))?;
        let mut work = UnitOfWork::begin(&self.db);
        if self.db.engine() == Engine::Sqlite {
            // What is deleted is overwritten with zeroes, not only unlinked.
            let overwrite = |conn: &rusqlite::Connection| {
                conn.query_row("pragma secure_delete = on", [], |_| Ok(()))
                    .map_err(|error| SqlError::Unavailable(error.to_string()))
            };
            work.tx().sqlite(overwrite).await.map_err(failed)?;
        }
        let sql = "insert into subject (subject, key, created_at, shredded_at) \
                   values ($1, null, $2, $2) on conflict (subject) do update \
                   set key = null, shredded_at = excluded.shredded_at \
                   where subject.shredded_at is null";
        let now = stanchion_runtime::clock::now();
        let deleted = work.tx().exec(sql, params![subject, now]).await;
        if deleted.map_err(failed)? == 1 {
            let stream = StreamId::new(SUBJECT_CATEGORY, subject);
            work.record(stream, Expected::Any, vec![event], metadata);
        }
        let committed = work.commit().await;
        committed
            .map(drop)
            .map_err(|error| VaultError(error.to_string()))
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

    async fn stored(&self, subjects: &[String]) -> Result<HashMap<String, SubjectKey>, VaultError> {
        let mut found = HashMap::with_capacity(subjects.len());
        for asked in subjects.chunks(ASKED_MAX) {
            let since = Instant::now();
            let list: Vec<String> = (1..=asked.len()).map(|n| format!("${n}")).collect();
            let sql = format!(
                "select subject, key from subject where subject in ({})",
                list.join(", ")
            );
            let params = asked.iter().map(|subject| Value::from(subject.as_str()));
            let rows = self
                .db
                .query(&sql, params.collect())
                .await
                .map_err(failed)?;
            for row in &rows {
                let (subject, key) = self.opened(row)?;
                if let SubjectKey::Present(key) = &key {
                    self.remember(&subject, key, since);
                }
                found.insert(subject, key);
            }
        }
        Ok(found)
    }

    fn opened(&self, row: &Row) -> Result<(String, SubjectKey), VaultError> {
        let subject: String = row.get(0).map_err(failed)?;
        let Some(sealed) = row.get::<Option<Vec<u8>>>(1).map_err(failed)? else {
            return Ok((subject, SubjectKey::Shredded));
        };
        let key = SealingKey::opened_by(&self.master, &sealed, &subject)
            .map_err(|error| VaultError(format!("the key of {subject} is {error}")))?;
        Ok((subject, SubjectKey::Present(key)))
    }

    /// Makes a key where there is none; whoever was first has made it.
    async fn make(&self, subject: &str) -> Result<(), VaultError> {
        let sql = "insert into subject (subject, key, created_at) values ($1, $2, $3) \
                   on conflict (subject) do nothing";
        let sealed = SealingKey::generate().sealed_by(&self.master, subject);
        let params = params![subject, sealed, stanchion_runtime::clock::now()];
        self.db.exec(sql, params).await.map(drop).map_err(failed)
    }
}

#[async_trait]
impl Vault for SqlVault {
    async fn keys_to_open(
        &self,
        subjects: &[String],
    ) -> Result<HashMap<String, SubjectKey>, VaultError> {
        let (mut known, unknown) = self.remembered(subjects);
        known.extend(self.stored(&unknown).await?);
        Ok(known)
    }

    async fn keys_as_stored(
        &self,
        subjects: &[String],
    ) -> Result<HashMap<String, SubjectKey>, VaultError> {
        self.stored(subjects).await
    }

    async fn keys_to_seal(
        &self,
        subjects: &[String],
    ) -> Result<HashMap<String, SubjectKey>, VaultError> {
        // Not from memory: nothing may be sealed with the key of a subject that was shredded since.
        let mut known = self.stored(subjects).await?;
        let missing: Vec<String> = subjects
            .iter()
            .filter(|subject| !known.contains_key(*subject))
            .cloned()
            .collect();
        for subject in &missing {
            self.make(subject).await?;
        }
        known.extend(self.stored(&missing).await?);
        Ok(known)
    }
}

fn failed(error: SqlError) -> VaultError {
    VaultError(error.to_string())
}
