//! Projections in a transaction that appends: kept, caught up, applied.

use std::sync::Arc;

use stanchion_eventsourcing::{
    Append, AppendError, Checkpoint, Position, ProjectionError, Recorded, own_checkpoint,
};
use stanchion_runtime::clock;

use super::super::apply::apply_to;
use super::super::parked;
use super::super::target::{checkpoint, name_of, stored};
use super::Inline;
use crate::log::{self, ROWS_MAX};
use crate::{Row, SqlError, Tx, WorkError, params};

/// The most entries of others that a transaction applies before its own. Behind by more, it is refused: catching up is
/// the projector's work.
const BEHIND_MAX: usize = 1_000;

/// A projection whose rows and checkpoint nobody else moves until the transaction ends.
pub(crate) struct Held {
    inline: Arc<Inline>,
    at: Checkpoint,
    /// Entries put aside, and the one it halted at.
    parked: i64,
}

/// What a transaction will have applied once it commits.
pub(crate) struct Applied {
    inline: Arc<Inline>,
    entries: Vec<Recorded>,
}

/// Keeps the rows of these projections for this transaction; paused ones are left out.
pub(crate) async fn hold(tx: &Tx, wanting: Vec<Arc<Inline>>) -> Result<Vec<Held>, WorkError> {
    let mut held = Vec::new();
    for inline in wanting {
        held.extend(hold_one(inline, tx).await?);
    }
    Ok(held)
}

async fn hold_one(inline: Arc<Inline>, tx: &Tx) -> Result<Option<Held>, WorkError> {
    let pause = name_of(inline.projection.name(), "paused");
    let sql = "select log, position, event_id, \
               (select count(*) from parked p where p.consumer = c.name) \
               from checkpoint c where name = $1 \
               and not exists (select 1 from checkpoint p where p.name = $2) for update";
    let params = params![inline.name.as_str(), pause.as_str()];
    let mut rows = tx.query(sql, params.clone()).await?;
    if rows.is_empty() {
        if !stored(tx, &pause).await?.is_empty() {
            return Ok(None);
        }
        let start = "insert into checkpoint (name, log, position, at) values ($1, $2, 0, $3) \
                     on conflict (name, log) do nothing";
        tx.queue(
            start,
            params![inline.name.as_str(), inline.log, clock::now()],
        );
        rows = tx.query(sql, params).await?;
    }
    let kept = rows.iter().map(checkpoint).collect::<Result<Vec<_>, _>>()?;
    let own = own_checkpoint(&kept, inline.log);
    let own = own.map_err(|error| inline.stands(&error.to_string()))?;
    let counted = |row: &Row| row.get::<i64>(3);
    let parked = rows.first().map(counted).transpose()?;
    Ok(Some(Held {
        at: own.unwrap_or(Checkpoint::start(inline.log)),
        parked: parked.unwrap_or(0),
        inline,
    }))
}

impl Held {
    /// Applies what the log has got since the checkpoint and moves it; the last entries are those of `appends`.
    pub(crate) async fn apply(self, tx: &mut Tx, appends: &[Append]) -> Result<Applied, WorkError> {
        let own = self.inline.wanted_of(appends);
        if own >= ROWS_MAX {
            let many = format!("more than {ROWS_MAX} events at once");
            return Err(refused(self.inline.projection.name(), &many));
        }
        // One more than may be there says that there are more.
        let limit = (BEHIND_MAX + own + 1).min(ROWS_MAX);
        let read = log::entries(&*tx, self.at.position, &self.inline.filter, limit).await;
        let entries = match read {
            Ok(entries) => entries,
            // What was queued before it, most of all the events themselves, may be what was refused.
            Err(error) => {
                tx.flush().await?;
                return Err(self.inline.stands(&error.to_string()));
            }
        };
        let others = entries.len().checked_sub(own).ok_or_else(|| {
            SqlError::Decode("the transaction does not see its own events".into())
        })?;
        if entries.len() >= limit && others > 0 {
            let at = self.at.position;
            let far = format!("it is at {at}, more than {BEHIND_MAX} entries behind");
            return Err(self.inline.stands(&far));
        }
        let (others, ours) = entries.split_at(others);
        self.catch_up(tx, others).await?;
        let applied = apply_to(&*self.inline.projection, tx, ours).await;
        if let Err(error) = applied {
            return Err(match error {
                ProjectionError::Poison(reason) => refused(self.inline.projection.name(), &reason),
                ProjectionError::Store(reason) => failed(tx, reason).await,
            });
        }
        if let Some(last) = entries.last() {
            let sql = "insert into checkpoint (name, log, position, event_id, at) \
                       values ($1, $2, $3, $4, $5) on conflict (name, log) do update set \
                       position = excluded.position, event_id = excluded.event_id, at = excluded.at";
            let (name, log) = (self.inline.name.as_str(), self.inline.log);
            tx.queue(
                sql,
                params![name, log, last.position, last.id, clock::now()],
            );
        }
        Ok(Applied {
            inline: self.inline,
            entries,
        })
    }

    /// What came another way goes before; told apart from what this transaction is about.
    async fn catch_up(&self, tx: &mut Tx, others: &[Recorded]) -> Result<(), WorkError> {
        let inline = &self.inline;
        if self.parked > 0 {
            // It may have halted at one of them.
            for entry in others {
                parked::queue_delete(tx, &inline.name, entry.id);
            }
            let sql = "select count(*) from parked where consumer = $1";
            let left: i64 = tx.one(sql, params![inline.name.as_str()]).await?.get(0)?;
            if left > 0 {
                let aside =
                    format!("{left} entries are put aside, and later ones wait behind them");
                return Err(inline.stands(&aside));
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        let applied = match apply_to(&*inline.projection, tx, others).await {
            Ok(()) => tx.flush().await.map_err(ProjectionError::from),
            Err(error) => Err(error),
        };
        match applied {
            Ok(()) => Ok(()),
            Err(ProjectionError::Poison(reason)) => Err(inline.stands(&reason)),
            Err(ProjectionError::Store(reason)) => Err(failed(tx, reason).await),
        }
    }
}

impl Applied {
    /// The transaction was committed.
    pub(crate) fn committed(&self) {
        let at = self
            .entries
            .last()
            .map_or(Position::START, |last| last.position);
        self.inline.seen.send_if_modified(|seen| {
            let moved = seen.at < at;
            seen.at = seen.at.max(at);
            moved
        });
        if let Some(meter) = self.inline.meter.get() {
            meter.applied(&self.entries, 0);
            meter.lag(0, 0);
        }
    }
}

fn refused(name: &str, reason: &str) -> WorkError {
    let reason = format!("the inline projection `{name}` refuses it: {reason}");
    WorkError::Log(AppendError::Invalid(reason))
}

/// The transaction itself knows best what kind of failure it was.
async fn failed(tx: &Tx, reason: String) -> WorkError {
    let known = tx.flush().await.err();
    WorkError::Store(known.unwrap_or(SqlError::Unavailable(reason)))
}
