use jiff::Timestamp;
use stanchion::runtime::clock;

use super::{Failure, Identity};

/// The most sessions deleted by one transaction.
const BATCH: u64 = 500;

impl Identity {
    /// Deletes a batch of sessions and mails' tokens that ended long ago; whether there may be more.
    pub(crate) async fn prune_sessions(&self) -> Result<bool, Failure> {
        let before = clock::now().saturating_sub(self.ended_sessions_kept);
        let before = before.unwrap_or(Timestamp::MIN);
        let transaction = self.db.begin();
        // Two processes at once would pick different sessions, and one would leave tokens without theirs.
        self.users.take_turn(&transaction).await?;
        let pruned = self.sessions.prune(&transaction, before, BATCH).await?;
        let tokens = self.one_time.prune(&transaction, before, BATCH).await?;
        transaction.commit().await?;
        Ok(pruned == BATCH || tokens >= BATCH)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use stanchion::auth::token::ACCESS_TTL;
    use stanchion::sql::params;
    use stanchion_testing::servers;

    use super::*;
    use crate::testing::Store;

    const ENDED: i64 = 2_000;

    #[tokio::test]
    async fn two_processes_that_delete_at_once_do_not_stop_each_other() {
        let Some(url) = servers::required("postgres") else {
            return;
        };
        let store = Store::at(&url).await;
        let (one, other) = (
            store.identity(ACCESS_TTL).await,
            store.identity(ACCESS_TTL).await,
        );
        let long_ago = clock::now() - SignedDuration::from_hours(24 * 30);
        let sessions = "insert into sessions (id, user_id, created_at, last_used_at, expires_at) \
             select gen_random_uuid(), (select id from users), $1, $1, $1 from generate_series(1::bigint, $2::bigint)";
        let made = store.db.exec(sessions, params![long_ago, ENDED]);
        assert_eq!(made.await.unwrap(), ENDED.unsigned_abs());
        let tokens = "insert into refresh_tokens (hash, session_id, generation, state, expires_at) \
             select decode(md5(id::text), 'hex'), id, 0, 'live', expires_at from sessions";
        store.db.exec(tokens, params![]).await.unwrap();
        let prune = async |identity: &Identity| {
            while identity.prune_sessions().await.unwrap() {}
        };
        tokio::join!(prune(&one), prune(&other));
        for table in ["sessions", "refresh_tokens"] {
            let sql = format!("select count(*) from {table}");
            let row = store.db.one(&sql, params![]).await.unwrap();
            assert_eq!(row.get::<i64>(0).unwrap(), 0, "{table}");
        }
    }
}
