use async_trait::async_trait;
use jiff::Timestamp;
use stanchion_messaging::{Claim, Claimed, Inbox, InboxError, InboxKey};
use uuid::Uuid;

use crate::{Db, Engine, SqlError, params, pruning};

/// The most rows one [`Inbox::prune`] deletes.
const PRUNE_MAX: usize = 10_000;

/// A module's inbox, in the same store as its log and rows.
#[derive(Clone)]
pub struct SqlInbox {
    db: Db,
}

impl SqlInbox {
    /// The inbox of a store whose `stanchion` migrations are applied.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Gives back every claim; how many there were. For a store that this process alone has open, before it
    /// serves: whoever made a claim is gone, and a repeat need not wait until the claim ends by itself.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn release_all(&self) -> Result<u64, SqlError> {
        let sql = "delete from inbox where owner is not null";
        self.db.exec(sql, params![]).await
    }

    /// Deletes the requests whose kept answer has this text in it, such as the id of somebody who is to be forgotten; how
    /// many there were. A repeat of such a request is then a new one. It looks at all answers.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn forget_answers(&self, text: &str) -> Result<u64, SqlError> {
        let named = match self.db.engine() {
            Engine::Sqlite => "instr(answer, $1) > 0",
            Engine::Postgres => "position($1::bytea in answer) > 0",
        };
        let sql = format!("delete from inbox where fingerprint is not null and {named}");
        self.db.exec(&sql, params![text.as_bytes()]).await
    }

    /// Inserts the claim, or takes over one that has expired; either way in one statement.
    async fn take(&self, claim: &Claim) -> Result<bool, SqlError> {
        let sql = "insert into inbox (key, fingerprint, owner, expires_at, at) \
                   values ($1, $2, $3, $4, $5) \
                   on conflict (key) do update set fingerprint = excluded.fingerprint, \
                   owner = excluded.owner, expires_at = excluded.expires_at, at = excluded.at \
                   where inbox.owner is not null and inbox.expires_at <= $5";
        let key = claim.key.as_str();
        let fingerprint = claim.fingerprint.to_vec();
        let params = params![key, fingerprint, claim.owner, claim.expires_at, claim.now];
        Ok(self.db.exec(sql, params).await? == 1)
    }

    /// What stands in the way of a claim; `None` if it has gone meanwhile.
    async fn standing(&self, claim: &Claim) -> Result<Option<Claimed>, SqlError> {
        let sql = "select fingerprint, owner, position, answer from inbox where key = $1";
        let Some(row) = self.db.opt(sql, params![claim.key.as_str()]).await? else {
            return Ok(None);
        };
        let fingerprint: Option<Vec<u8>> = row.get(0)?;
        if fingerprint.is_some_and(|known| known != claim.fingerprint) {
            return Ok(Some(Claimed::Reused));
        }
        if row.get::<Option<Uuid>>(1)?.is_some() {
            return Ok(Some(Claimed::Running));
        }
        let answer: Option<Vec<u8>> = row.get(3)?;
        Ok(Some(Claimed::Answered {
            answer: answer.unwrap_or_default(),
            position: row.get(2)?,
        }))
    }
}

#[async_trait]
impl Inbox for SqlInbox {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, InboxError> {
        // A claim that is released between the two looks is simply taken at the second try.
        for _ in 0..2 {
            if self.take(claim).await.map_err(failed)? {
                return Ok(Claimed::Fresh);
            }
            if let Some(standing) = self.standing(claim).await.map_err(failed)? {
                return Ok(standing);
            }
        }
        Ok(Claimed::Running)
    }

    async fn complete(
        &self,
        key: &InboxKey,
        owner: Uuid,
        answer: &[u8],
    ) -> Result<bool, InboxError> {
        let sql = "update inbox set owner = null, expires_at = null, answer = $3 \
                   where key = $1 and owner = $2";
        let completed = self
            .db
            .exec(sql, params![key.as_str(), owner, answer])
            .await;
        Ok(completed.map_err(failed)? == 1)
    }

    async fn release(&self, key: &InboxKey, owner: Uuid) -> Result<(), InboxError> {
        let sql = "delete from inbox where key = $1 and owner = $2";
        let released = self.db.exec(sql, params![key.as_str(), owner]).await;
        released.map(drop).map_err(failed)
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, InboxError> {
        let sql = "delete from inbox where key in (select key from inbox \
                   where at < $1 and owner is null and fingerprint is not null \
                   order by at limit $2)";
        let limit = limit.min(PRUNE_MAX) as i64;
        let deleted = self
            .db
            .exec(sql, params![before, limit])
            .await
            .map_err(failed)?;
        Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
    }

    async fn prune_messages(&self, before: Timestamp, limit: usize) -> Result<usize, InboxError> {
        let pruned = pruning::prune(&self.db, before, limit.clamp(1, PRUNE_MAX)).await;
        pruned.map_err(failed)
    }
}

fn failed(error: SqlError) -> InboxError {
    InboxError(error.to_string())
}
