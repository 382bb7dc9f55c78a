use jiff::Timestamp;
use stanchion::runtime::clock;

use super::{Failure, Identity};

/// The most sessions deleted by one transaction.
const BATCH: u64 = 500;

impl Identity {
    /// Deletes a batch of sessions, mails' tokens and addresses that were left, all ended long ago; whether there may be more.
    pub(crate) async fn prune_sessions(&self) -> Result<bool, Failure> {
        let before = clock::now().saturating_sub(self.ended_sessions_kept);
        let before = before.unwrap_or(Timestamp::MIN);
        let transaction = self.db.begin();
        // Two processes at once would pick different sessions, and one would leave tokens without theirs.
        self.users.take_turn(&transaction).await?;
        let pruned = self.sessions.prune(&transaction, before, BATCH).await?;
        let tokens = self.one_time.prune(&transaction, before, BATCH).await?;
        let former = self.former_emails.prune(&transaction, before, BATCH);
        let former = former.await?;
        transaction.commit().await?;
        Ok(pruned == BATCH || tokens >= BATCH || former >= BATCH)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::SignedDuration;
    use stanchion::auth::token::ACCESS_TTL;
    use stanchion::sql::params;
    use stanchion_testing::servers;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::testing::Store;

    const ENDED: i64 = 2_000;

    /// Longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A store with that many sessions that ended long ago, a token each, and two processes on it; none without a server.
    async fn two_on_ended() -> Option<(Store, Arc<Identity>, Arc<Identity>)> {
        let store = Store::at(&servers::required("postgres")?).await;
        let one = store.identity(ACCESS_TTL).await;
        let long_ago = clock::now() - SignedDuration::from_hours(24 * 30);
        let sessions = "insert into sessions (id, user_id, created_at, last_used_at, expires_at) \
             select gen_random_uuid(), (select id from users), $1, $1, $1 from generate_series(1::bigint, $2::bigint)";
        let made = store.db.exec(sessions, params![long_ago, ENDED]);
        assert_eq!(made.await.unwrap(), ENDED.unsigned_abs());
        let tokens = "insert into refresh_tokens (hash, session_id, generation, state, expires_at) \
             select decode(md5(id::text), 'hex'), id, 0, 'live', expires_at from sessions";
        store.db.exec(tokens, params![]).await.unwrap();
        let other = store.identity(ACCESS_TTL).await;
        Some((store, one, other))
    }

    async fn rows_in(store: &Store, table: &str) -> i64 {
        let sql = format!("select count(*) from {table}");
        let row = store.db.one(&sql, params![]).await.unwrap();
        row.get(0).unwrap()
    }

    /// Until somebody waits in this database for what another one has locked.
    async fn somebody_waits(store: &Store) {
        let waiting = "select count(*) from pg_stat_activity \
             where datname = current_database() and wait_event_type = 'Lock'";
        let begun = Instant::now();
        loop {
            let row = store.db.one(waiting, params![]).await.unwrap();
            if row.get::<i64>(0).unwrap() > 0 {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "nobody waits");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// One has deleted its batch and not committed when the other begins. What the other's first statement would find, it
    /// waits for, and finds gone; its second statement would find the next batch, whose tokens nobody has deleted.
    #[tokio::test]
    async fn who_deletes_while_another_one_does_deletes_no_session_without_its_tokens() {
        let Some((store, one, other)) = two_on_ended().await else {
            return;
        };
        let first = store.db.begin();
        one.users.take_turn(&first).await.unwrap();
        let pruned = one.sessions.prune(&first, clock::now(), BATCH);
        assert_eq!(pruned.await.unwrap(), BATCH);
        let goes_on = async {
            somebody_waits(&store).await;
            first.commit().await.unwrap();
        };
        let (pruned, ()) = tokio::join!(other.prune_sessions(), goes_on);
        assert!(pruned.unwrap(), "a whole batch");
        let left = ENDED - 2 * i64::try_from(BATCH).unwrap();
        for table in ["sessions", "refresh_tokens"] {
            assert_eq!(rows_in(&store, table).await, left, "{table}");
        }
    }

    #[tokio::test]
    async fn two_processes_that_delete_at_once_delete_everything() {
        let Some((store, one, other)) = two_on_ended().await else {
            return;
        };
        let prune = async |identity: &Identity| {
            while identity.prune_sessions().await.unwrap() {}
        };
        tokio::join!(prune(&one), prune(&other));
        for table in ["sessions", "refresh_tokens"] {
            assert_eq!(rows_in(&store, table).await, 0, "{table}");
        }
    }
}
