//! Which master keys seal the subjects' keys, and how another one takes their place.

use stanchion_eventsourcing::{NotOpened, Resealed, SealingKey};

use super::{OWN_SUBJECT, SqlVault, overwriting};
use crate::{SqlError, Tx, params};

/// Keys that are sealed anew in one transaction.
const PAGE: usize = 256;

/// The most master keys that are told apart; a store with more has a history that wants a look.
const MARKS_MAX: usize = 64;

/// Why the master keys cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MasterKeyError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] SqlError),
    /// There are subjects' keys that none of the master keys opens.
    #[error(
        "the subjects' keys are sealed with the master key {}, and given is {}",
        sealed_by.join(", "),
        have.join(", ")
    )]
    Wrong {
        /// The fingerprints of the keys that are missing.
        sealed_by: Vec<String>,
        /// Those of the keys that were given.
        have: Vec<String>,
    },
    /// A sealed key that is none, or was changed.
    #[error("the key of {subject} is {error}")]
    Damaged {
        /// Whose.
        subject: String,
        /// What is wrong with it.
        error: NotOpened,
    },
}

impl SqlVault {
    /// Whether the master keys open every subject's key; at the first time one of the vault's own is made, so that a
    /// second process with another master key is refused also where nobody is known yet.
    ///
    /// It looks at one key of each master key, not at all.
    ///
    /// # Errors
    /// See [`MasterKeyError`].
    pub async fn check(&self) -> Result<(), MasterKeyError> {
        // Before as well: a wrong master key must not leave a mark of its own.
        self.missing_masters().await?;
        self.make_own().await?;
        self.missing_masters().await?;
        let sql = "select key from subject where subject = $1";
        let row = self.db.one(sql, params![OWN_SUBJECT]).await?;
        self.opened_again(OWN_SUBJECT, row.get(0)?).map(drop)
    }

    /// Seals at most `limit` subjects' keys that another of the master keys sealed with the one that seals now.
    ///
    /// A transaction holds some of them; cut off, the rest is found by the next call. What was shredded or sealed anew
    /// meanwhile stays as it is.
    ///
    /// # Errors
    /// See [`MasterKeyError`]; nothing is changed while one of the master keys is missing.
    pub async fn reseal(&self, limit: usize) -> Result<Resealed, MasterKeyError> {
        self.missing_masters().await?;
        let mut resealed = 0;
        while resealed < limit {
            let changed = self.reseal_page(PAGE.min(limit - resealed)).await?;
            if changed == 0 {
                break;
            }
            resealed += changed;
        }
        let own = self.masters.sealing().fingerprint();
        let mut left = self.sealed_by().await?;
        left.retain(|fingerprint| *fingerprint != own);
        Ok(Resealed {
            resealed: resealed as u64,
            left,
        })
    }

    async fn reseal_page(&self, size: usize) -> Result<usize, MasterKeyError> {
        let tx = self.db.begin();
        overwriting(&tx).await?;
        let own = self.masters.sealing();
        let mut page = self.others(&tx, size).await?;
        // In one order, so that two who do it do not wait for each other.
        page.sort_unstable();
        let mut changed = 0;
        for (subject, sealed) in page {
            let anew = self.opened_again(&subject, sealed.clone())?;
            let anew = anew.sealed_by(own, &subject);
            let sql = "update subject set key = $3 where subject = $1 and key = $2";
            let done = tx.exec(sql, params![subject, sealed, anew]).await?;
            changed += usize::try_from(done).unwrap_or_default();
        }
        tx.commit().await?;
        Ok(changed)
    }

    /// Some subjects with keys that another master key sealed.
    async fn others(&self, tx: &Tx, size: usize) -> Result<Vec<(String, Vec<u8>)>, SqlError> {
        let own = self.masters.sealing().mark();
        // One after the other: with an `or` the index is not used, and every page would look at all that is done.
        for side in ["<", ">"] {
            let sql = format!(
                "select subject, key from subject where key is not null \
                 and substr(key, 1, 9) {side} $1 order by substr(key, 1, 9) limit $2"
            );
            let rows = tx.query(&sql, params![own.clone(), size as i64]).await?;
            if !rows.is_empty() {
                let rows = rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?)));
                return rows.collect();
            }
        }
        Ok(Vec::new())
    }

    fn opened_again(&self, subject: &str, sealed: Vec<u8>) -> Result<SealingKey, MasterKeyError> {
        let opened = self.masters.opened(&sealed, subject);
        opened.map_err(|error| MasterKeyError::Damaged {
            subject: subject.to_owned(),
            error,
        })
    }

    async fn make_own(&self) -> Result<(), SqlError> {
        let sql = "insert into subject (subject, key, created_at) values ($1, $2, $3) \
                   on conflict (subject) do nothing";
        let sealed = SealingKey::generate().sealed_by(self.masters.sealing(), OWN_SUBJECT);
        let now = stanchion_runtime::clock::now();
        let params = params![OWN_SUBJECT, sealed, now];
        self.db.exec(sql, params).await.map(drop)
    }

    async fn missing_masters(&self) -> Result<(), MasterKeyError> {
        let mut sealed_by = self.sealed_by().await?;
        sealed_by.retain(|fingerprint| !self.masters.has(fingerprint));
        if sealed_by.is_empty() {
            return Ok(());
        }
        let have = self.masters.fingerprints();
        Err(MasterKeyError::Wrong { sealed_by, have })
    }

    /// The fingerprints of the master keys that seal something: each found by a step in the index.
    async fn sealed_by(&self) -> Result<Vec<String>, MasterKeyError> {
        let sql = "select subject, key from subject where key is not null \
                   and substr(key, 1, 9) > $1 order by substr(key, 1, 9) limit 1";
        let (mut found, mut after) = (Vec::new(), Vec::new());
        while found.len() < MARKS_MAX {
            let Some(row) = self.db.opt(sql, params![after]).await? else {
                break;
            };
            let (subject, sealed): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let fingerprint = SealingKey::fingerprint_of(&sealed);
            found.push(fingerprint.map_err(|error| MasterKeyError::Damaged { subject, error })?);
            after = sealed[..SealingKey::MARK_BYTES].to_vec();
        }
        Ok(found)
    }
}
