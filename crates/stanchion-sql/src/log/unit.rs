//! The log's statements as the last ones of a unit of work's transaction.

mod explained;

use std::sync::Arc;

use stanchion_eventsourcing::{Append, AppendError, Appended, Expected, TimerChange};
use stanchion_messaging::InboxEntry;
use stanchion_runtime::clock;

use self::explained::{explain, judge};
use super::embedded;
use super::plan::{Verdict, answers};
use super::ready::Ready;
use super::writes::Writes;
use crate::projector::{Applied, Inline, hold};
use crate::row::Outcome;
use crate::{Db, Engine, SqlError, Tx, Value, WorkError, params};

/// After everything else, because who holds it makes all appends wait. Looked up at each run: the plan is kept.
const LOCK: &str = "select pg_advisory_xact_lock(8274, to_regclass('event')::oid::int)";

/// Lock, row and name of one event; where the stream is not at the expected version the table refuses the row.
const EVENT: &str = "\
select * from stanchion_record($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// Behind the lock: where this transaction's last event is.
const LAST: &str = "select position, version from event order by position desc limit 1";

/// After the events, so that its position covers the whole unit.
const KEY: &str = "\
insert into inbox (key, position, answer, at) \
select $1::text, (select coalesce(max(position), 0) from event), $2::bytea, $3::timestamptz";

/// Fails with a division by zero unless the claim was still owned.
const CLAIM: &str = "\
with completed as (update inbox set owner = null, expires_at = null, answer = $2::bytea, at = $3::timestamptz, \
position = (select coalesce(max(position), 0) from event) \
where key = $1::text and owner = $4::uuid returning 1) select 1 / count(*) from completed";

const TIMER_SET: &str = "\
insert into timer (stream, name, category, due_at) values ($1, $2, $3, $4) \
on conflict (stream, name) do update set due_at = excluded.due_at";

const TIMER_CLEARED: &str = "delete from timer where stream = $1 and name = $2";

/// Commits the transaction with these appends in it, no stream twice; where the last event is, if there are any.
///
/// What inline projections want is applied in it as well.
pub(crate) async fn commit(tx: Tx, appends: Vec<Append>) -> Result<Option<Appended>, WorkError> {
    let db = tx.db().clone();
    let inline = &db.log().inline;
    let mut inlines = Inlined {
        wanting: inline.wanting(&appends),
        appends: Vec::new(),
    };
    if !inlines.wanting.is_empty() {
        inlines.appends.clone_from(&appends);
    }
    // One that has begun holds what a swap may wait for.
    let _turn = match inlines.wanting.is_empty() || tx.has_begun().await {
        true => None,
        false => {
            let turn = tokio::time::timeout(db.append_wait(), inline.turn()).await;
            let late = |_| SqlError::Timeout("an inline projection's rows stand still".into());
            Some(turn.map_err(late)?)
        }
    };
    let readies: Result<Vec<Ready>, AppendError> = appends.into_iter().map(Ready::of).collect();
    let readies = readies.map_err(WorkError::Log)?;
    let appended = match db.engine() {
        Engine::Sqlite => on_sqlite(tx, readies, inlines).await?,
        Engine::Postgres => on_postgres(tx, &db, &readies, inlines).await?,
    };
    if let Some(appended) = appended {
        db.log().grew_beside(appended.position);
    }
    Ok(appended)
}

/// What is applied before the commit.
struct Inlined {
    wanting: Vec<Arc<Inline>>,
    appends: Vec<Append>,
}

/// One packet: what is queued, lock, rows, commit. What a refusal was about is looked up afterwards.
async fn on_postgres(
    tx: Tx,
    db: &Db,
    readies: &[Ready],
    inlines: Inlined,
) -> Result<Option<Appended>, WorkError> {
    let done = match inlines.wanting.is_empty() {
        true => {
            queue(&tx, readies);
            tx.commit_last().await.map_err(WorkError::from)
        }
        false => with_inline_projections(tx, readies, inlines).await,
    };
    let refused = match done {
        Ok(last) if readies.iter().any(|ready| ready.len() > 0) => {
            return Ok(Some(last_of(&last)?));
        }
        Ok(_) => return Ok(None),
        Err(WorkError::Store(error)) => error,
        Err(other) => return Err(other),
    };
    let may_be_ours = matches!(
        refused,
        SqlError::Conflict(_) | SqlError::Constraint(_) | SqlError::Usage(_)
    );
    if !may_be_ours {
        return Err(refused.into());
    }
    match explain(db, readies).await? {
        Some(answer) => answer,
        None => Err(refused.into()),
    }
}

/// Three packets: what is queued and the projections' checkpoints; lock, rows, and what they read of it; what they make
/// of it and commit.
async fn with_inline_projections(
    mut tx: Tx,
    readies: &[Ready],
    inlines: Inlined,
) -> Result<Outcome, WorkError> {
    let held = hold(&tx, inlines.wanting).await?;
    queue(&tx, readies);
    let mut applied: Vec<Applied> = Vec::new();
    for held in held {
        applied.push(held.apply(&mut tx, &inlines.appends).await?);
    }
    tx.queue(LAST, params![]);
    let last = tx.commit_last().await?;
    applied.iter().for_each(Applied::committed);
    Ok(last)
}

fn last_of(last: &Outcome) -> Result<Appended, SqlError> {
    let row = last.rows.first();
    let row = row.ok_or_else(|| SqlError::Decode("the position is missing".into()))?;
    Ok(Appended {
        position: row.get(0)?,
        version: Some(row.get(1)?),
    })
}

/// The events' statements take the lock; what depends on them follows.
fn queue(tx: &Tx, readies: &[Ready]) {
    let at = clock::now();
    if readies.iter().all(|ready| ready.len() == 0) {
        tx.queue(LOCK, params![]);
    }
    for ready in readies {
        queue_events(tx, ready, at);
    }
    let mut beside = false;
    for ready in readies {
        for change in &ready.append.timers {
            queue_timer(tx, ready, change);
            beside = true;
        }
        if let Some(entry) = &ready.append.inbox {
            queue_settled(tx, entry, at);
            beside = true;
        }
    }
    if beside {
        tx.queue(LAST, params![]);
    }
}

fn queue_events(tx: &Tx, ready: &Ready, at: jiff::Timestamp) {
    let stream = &ready.append.stream;
    // Those after the first follow it, and the name is there.
    let (mut expected, mut name) = match ready.append.expected {
        Expected::NoStream => (Value::I64(-1), stream.id().into()),
        Expected::Exact(version) => (Value::I64(version.0), Value::Null),
        _ => (Value::Null, stream.id().into()),
    };
    for (event, sum) in ready.append.events.iter().zip(&ready.sums) {
        let params = params![
            ready.key,
            std::mem::replace(&mut expected, Value::Null),
            event.id,
            stream.category(),
            std::mem::replace(&mut name, Value::Null),
            event.kind.as_str(),
            event.data.as_str(),
            ready.meta.as_str(),
            at,
            *sum,
        ];
        tx.queue(EVENT, params);
    }
}

fn queue_timer(tx: &Tx, ready: &Ready, change: &TimerChange) {
    let category = ready.append.stream.category();
    match change {
        TimerChange::Set { name, due_at } => {
            tx.queue(
                TIMER_SET,
                params![ready.key, name.as_str(), category, *due_at],
            );
        }
        TimerChange::Clear { name } => {
            tx.queue(TIMER_CLEARED, params![ready.key, name.as_str()]);
        }
    }
}

fn queue_settled(tx: &Tx, entry: &InboxEntry, at: jiff::Timestamp) {
    let mut params = params![entry.key.as_str(), entry.answer.clone(), at];
    match entry.owner {
        None => tx.queue(KEY, params),
        Some(owner) => {
            params.push(owner.into());
            tx.queue(CLAIM, params);
        }
    }
}

/// The writer looks, decides and writes in one job; the commit is the next one.
async fn on_sqlite(
    mut tx: Tx,
    readies: Vec<Ready>,
    inlines: Inlined,
) -> Result<Option<Appended>, WorkError> {
    let at = clock::now();
    let (readies, verdicts, head) = tx
        .sqlite(move |conn| {
            let all: Vec<&Ready> = readies.iter().collect();
            let facts = embedded::look(conn, &all)?;
            let verdicts = facts.verdicts(&readies);
            if verdicts
                .iter()
                .all(|one| matches!(one, Verdict::Write { .. }))
            {
                let writes = Writes::of(&readies, &verdicts);
                embedded::write(conn, &writes, facts.head, at)?;
            }
            Ok((readies, verdicts, facts.head))
        })
        .await?;
    if let Some(answer) = judge(&readies, &verdicts, head) {
        // Refused, or the first time was committed after all: these rows must not be written again.
        tx.rollback().await?;
        return answer;
    }
    let mut applied: Vec<Applied> = Vec::new();
    for held in hold(&tx, inlines.wanting).await? {
        applied.push(held.apply(&mut tx, &inlines.appends).await?);
    }
    tx.commit().await?;
    applied.iter().for_each(Applied::committed);
    Ok(last_written(&readies, verdicts, head))
}

/// Where the last event is that was written after `head`.
fn last_written(readies: &[Ready], verdicts: Vec<Verdict>, head: i64) -> Option<Appended> {
    let (answers, _) = answers(readies, verdicts, head);
    let written = answers.into_iter().zip(readies);
    let written = written.filter(|(_, ready)| ready.len() > 0);
    written.filter_map(|(answer, _)| answer.ok()).next_back()
}
