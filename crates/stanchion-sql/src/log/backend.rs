//! Running a planned batch in a transaction: the log's statements come last in it, under its lock.

use stanchion_eventsourcing::{Append, AppendError, Appended, Position};

use super::plan::{Facts, Plan, Questions};
use crate::{Db, Engine, SqlError, Tx, params};

/// How often a batch that collided with somebody's locks is repeated, with the same event ids.
const COLLISIONS_MAX: u32 = 5;

/// Runs batches for the committer.
pub(super) struct Backend {
    pub(super) db: Db,
}

impl Backend {
    /// Commits a batch; each append's answer, and the head after it.
    pub(super) async fn commit(
        &self,
        batch: Vec<Append>,
    ) -> Result<(Vec<Result<Appended, AppendError>>, Position), AppendError> {
        for _ in 0..COLLISIONS_MAX {
            match self.attempt(&batch).await {
                Err(SqlError::Serialization(_)) => {}
                Err(error) => return Err(append_error(&error)),
                Ok(done) => return Ok(done),
            }
        }
        Err(AppendError::Unavailable(
            "the log's lock was taken all the time".into(),
        ))
    }

    async fn attempt(
        &self,
        batch: &[Append],
    ) -> Result<(Vec<Result<Appended, AppendError>>, Position), SqlError> {
        let tx = self.db.begin();
        let plan = plan_in(&tx, batch).await?;
        for (sql, params) in plan.steps {
            tx.queue(&sql, params);
        }
        tx.commit().await?;
        Ok((plan.answers, plan.head))
    }
}

/// Takes the log's lock, asks what must be known, and plans. Nothing may follow but the plan's
/// steps and the commit: rows first, the log last.
pub(crate) async fn plan_in(tx: &Tx, batch: &[Append]) -> Result<Plan, SqlError> {
    lock(tx).await?;
    let questions = Questions::about(batch);
    let mut facts = Facts::default();
    let (sql, params) = questions.head;
    facts.take_head(&tx.query(&sql, params).await?)?;
    let (sql, params) = questions.versions;
    facts.take_versions(&tx.query(&sql, params).await?)?;
    if let Some((sql, params)) = questions.repeated {
        facts.take_repeated(&tx.query(&sql, params).await?)?;
    }
    if let Some((mut sql, params)) = questions.inbox {
        // A claim must not be taken over between this look and the commit.
        if is_postgres(tx) {
            sql.push_str(" for update");
        }
        facts.take_inbox(&tx.query(&sql, params).await?)?;
    }
    Ok(Plan::of(batch, &facts, stanchion_runtime::clock::now()))
}

/// PostgreSQL: the log's lock, held to the commit. SQLite: the writer, which a first write takes.
async fn lock(tx: &Tx) -> Result<(), SqlError> {
    if is_postgres(tx) {
        // One lock a log: the schema's own number under a number of ours.
        let lock = "select pg_advisory_xact_lock(8274, (select 'event'::regclass::oid::int))";
        return tx.query(lock, params![]).await.map(drop);
    }
    tx.flush().await
}

fn is_postgres(tx: &Tx) -> bool {
    tx.db().engine() == Engine::Postgres
}

pub(crate) fn append_error(error: &SqlError) -> AppendError {
    match error {
        SqlError::InDoubt(_) => AppendError::Unknown,
        other => AppendError::Unavailable(other.to_string()),
    }
}
