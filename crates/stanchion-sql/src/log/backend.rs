//! Running a planned batch in a transaction: the log's statements come last in it, under its lock.

use stanchion_eventsourcing::{Append, AppendError, Appended};

use super::plan::{Facts, Plan, Questions};
use crate::{Db, Engine, SqlError, Tx, params};

/// How often a batch that collided with somebody's locks is repeated, with the same event ids.
const COLLISIONS_MAX: u32 = 5;

pub(super) type Answer = Result<Appended, AppendError>;

/// Runs batches for the committer.
pub(super) struct Backend {
    pub(super) db: Db,
}

impl Backend {
    /// Commits a batch; each append's answer.
    pub(super) async fn commit(&self, batch: Vec<Append>) -> Vec<Answer> {
        match self.commit_together(&batch).await {
            Ok(answers) => answers,
            // One append that the database does not take must not fail its neighbours.
            Err(error) if is_somebodys(&error) && batch.len() > 1 => {
                let mut answers = Vec::with_capacity(batch.len());
                for alone in batch.chunks(1) {
                    answers.push(self.commit_alone(alone).await);
                }
                answers
            }
            Err(error) => vec![Err(append_error(&error)); batch.len()],
        }
    }

    async fn commit_alone(&self, alone: &[Append]) -> Answer {
        let answers = self.commit_together(alone).await;
        let mut answers = answers.map_err(|error| append_error(&error))?;
        answers.pop().unwrap_or(Err(AppendError::Unknown))
    }

    async fn commit_together(&self, batch: &[Append]) -> Result<Vec<Answer>, SqlError> {
        let mut tried = 1;
        loop {
            match self.attempt(batch).await {
                Err(SqlError::Serialization(_)) if tried < COLLISIONS_MAX => tried += 1,
                done => return done,
            }
        }
    }

    async fn attempt(&self, batch: &[Append]) -> Result<Vec<Answer>, SqlError> {
        let tx = self.db.begin();
        let plan = plan_in(&tx, batch).await?;
        for (sql, params) in plan.steps {
            tx.queue(&sql, params);
        }
        tx.commit().await?;
        self.db.log_grew_to(plan.head);
        Ok(plan.answers)
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

/// Whether the error is about what one append says, not about the database.
fn is_somebodys(error: &SqlError) -> bool {
    matches!(
        error,
        SqlError::Usage(_) | SqlError::Constraint(_) | SqlError::Conflict(_) | SqlError::Decode(_)
    )
}

fn append_error(error: &SqlError) -> AppendError {
    match error {
        SqlError::InDoubt(_) => AppendError::Unknown,
        SqlError::Usage(reason) | SqlError::Constraint(reason) => {
            AppendError::Invalid(reason.clone())
        }
        other => AppendError::Unavailable(other.to_string()),
    }
}
