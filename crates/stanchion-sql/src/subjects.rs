mod master;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use stanchion_eventsourcing::{
    Expected, KEY_AGE_MAX, MasterKeys, Metadata, NewEvent, SUBJECT_CATEGORY, SealingKey, Shredded,
    StreamId, SubjectEvent, SubjectKey, Vault, VaultError,
};
use tokio::time::Instant;

use crate::{Db, Engine, Row, SqlError, SqlSnapshots, Tx, UnitOfWork, Value, log, params, sqlite};

pub use self::master::MasterKeyError;

/// The vault's own subject: its key is made at the first [`SqlVault::check`] and tells the master key apart from a wrong
/// one before there is anybody else.
const OWN_SUBJECT: &str = "stanchion.vault";

/// The most keys remembered; beyond that the memory starts anew.
const REMEMBERED_MAX: usize = 10_000;

/// The most subjects asked for in one statement.
const ASKED_MAX: usize = 256;

/// As many as a stream's name: the shredding is recorded in one.
const SUBJECT_BYTES_MAX: usize = 255;

/// The subjects' keys in a store's table `subject`, each sealed with a master key from outside the store.
///
/// A service that starts asks [`check`](Self::check) first: with a wrong master key nothing is read, and what is
/// written could later not be read with the right one.
///
/// A key is durable before it is handed out, and remembered for at most [`KEY_AGE_MAX`]: so long
/// another process may still open what was shredded here. One vault may serve several modules. Whoever
/// has neither the master key nor a row of the table reads no personal value: keep the two apart, in
/// backups too. A backup older than a shredding still has the key; it ends with the backup.
pub struct SqlVault {
    db: Db,
    masters: MasterKeys,
    remembered: Mutex<HashMap<String, (SealingKey, Instant)>>,
}

impl SqlVault {
    /// The vault in a store whose `stanchion` migrations are applied; one master key, or [`MasterKeys`].
    #[must_use]
    pub fn new(db: Db, masters: impl Into<MasterKeys>) -> Arc<Self> {
        Arc::new(Self {
            db,
            masters: masters.into(),
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
    /// For 30 s a process may still remember what it opened before. A snapshot that it writes then has the values
    /// themselves empty, but whatever its state derived from them in a field of its own in clear: shred once more after a
    /// minute, which deletes it.
    ///
    /// # Errors
    /// The store failed. Whether the key is deleted is then unknown: do it again.
    pub async fn shred(&self, subject: &str, metadata: &Metadata) -> Result<Shredded, VaultError> {
        if subject == OWN_SUBJECT {
            return Err(VaultError(format!("`{subject}` is the vault's own key")));
        }
        self.remembered.lock().remove(subject);
        self.delete_key(subject, metadata).await?;
        // Once more: it may have been read meanwhile.
        self.remembered.lock().remove(subject);
        let snapshots = SqlSnapshots::new(self.db.clone());
        let snapshots = snapshots.forget_subject(subject).await.map_err(failed)?;
        let proof = self.proof(subject).await.map_err(failed)?;
        Ok(Shredded { snapshots, ..proof })
    }

    /// What is recorded of a shredding.
    async fn proof(&self, subject: &str) -> Result<Shredded, SqlError> {
        let sql = "select s.shredded_at, e.position, e.event_id from subject s, event e \
                   where s.subject = $1 and e.stream = $2 order by e.version limit 1";
        let stream = StreamId::new(SUBJECT_CATEGORY, subject).key();
        let row = self.db.one(sql, params![subject, stream]).await?;
        Ok(Shredded {
            subject: subject.to_owned(),
            at: row.get(0)?,
            log: log::identity(&self.db).await?,
            position: row.get(1)?,
            event: row.get(2)?,
            snapshots: 0,
        })
    }

    async fn delete_key(&self, subject: &str, metadata: &Metadata) -> Result<(), VaultError> {
        let event = SubjectEvent::SubjectShredded {
            subject: subject.to_owned(),
        };
        let event = NewEvent::of(&event).map_err(|error| VaultError(error.to_string()))?;
        let mut work = UnitOfWork::begin(&self.db);
        overwriting(work.tx()).await.map_err(failed)?;
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
        let key = self.masters.opened(&sealed, &subject);
        let key = key.map_err(|error| VaultError(format!("the key of {subject} is {error}")))?;
        Ok((subject, SubjectKey::Present(key)))
    }

    /// Makes a key where there is none; whoever was first has made it.
    async fn make(&self, subject: &str) -> Result<(), VaultError> {
        // It must be possible to record its shredding: in a stream of its name.
        if !(1..=SUBJECT_BYTES_MAX).contains(&subject.len()) {
            return Err(VaultError(format!(
                "a subject has 1 to {SUBJECT_BYTES_MAX} bytes, not {}",
                subject.len()
            )));
        }
        let sql = "insert into subject (subject, key, created_at) values ($1, $2, $3) \
                   on conflict (subject) do nothing";
        let sealed = SealingKey::generate().sealed_by(self.masters.sealing(), subject);
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

/// What this transaction deletes or replaces is overwritten with zeroes, not only unlinked: on SQLite, where the
/// write-ahead log and, until its next checkpoint, the file may hold the bytes of before; on PostgreSQL that is
/// VACUUM's work.
async fn overwriting(tx: &Tx) -> Result<(), SqlError> {
    if tx.db().engine() != Engine::Sqlite {
        return Ok(());
    }
    tx.sqlite(sqlite::overwrite_deleted).await
}

fn failed(error: SqlError) -> VaultError {
    VaultError(error.to_string())
}
