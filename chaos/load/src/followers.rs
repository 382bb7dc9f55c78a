//! Followers, whose rows tell what they saw and in which order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use async_trait::async_trait;
use clap::ValueEnum;
use stanchion::eventsourcing::{Filter, Projection, ProjectionError, Recorded};
use stanchion::sql::{Projector, ProjectorError, Tx, params};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

const MODULUS: i64 = 2_147_483_647;

/// `digest' = (digest * 1000003 + entry) mod (2^31 - 1)`: another order gives another digest.
const FOLD: &str = "insert into fold_row (follower, stream, n, version, digest) values ($1, $2, 1, $3, $4) \
     on conflict (follower, stream) do update set n = fold_row.n + 1, version = excluded.version, \
     digest = (fold_row.digest * 1000003 + excluded.digest) % 2147483647";

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What a follower keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Follower {
    /// A row per entry.
    Each,
    /// A digest per stream, and one of everything.
    Fold,
    /// The same for one category.
    Hot,
    /// The same for everything, by a follower that is rebuilt in the middle.
    Rebuilt,
}

/// What a follower does beside following.
#[derive(Clone, Copy)]
pub(crate) struct How {
    /// It replays the whole log first.
    pub(crate) rebuild: bool,
    /// It leaves at the log's end.
    pub(crate) once: bool,
}

#[async_trait]
impl Projection<Tx> for Follower {
    fn name(&self) -> &'static str {
        match self {
            Self::Each => "each",
            Self::Fold => "fold",
            Self::Hot => "hot",
            Self::Rebuilt => "rebuilt",
        }
    }

    fn filter(&self) -> Filter {
        match self {
            Self::Hot => Filter::category("hot"),
            _ => Filter::all(),
        }
    }

    async fn apply(&self, tx: &mut Tx, event: &Recorded) -> Result<(), ProjectionError> {
        if *self == Self::Each {
            let row = "insert into each_row (position, event_id) values ($1, $2)";
            tx.queue(row, params![event.position, event.id]);
            return Ok(());
        }
        let tail = (event.id.as_u128() as u64 % MODULUS as u64) as i64;
        let entry = (tail + event.position.0) % MODULUS;
        let stream = format!("{}/{}", event.stream.category(), event.stream.id());
        for stream in [stream.as_str(), ""] {
            tx.queue(FOLD, params![self.name(), stream, event.version, entry]);
        }
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        if *self == Self::Each {
            tx.queue("delete from each_row", params![]);
        } else {
            tx.queue(
                "delete from fold_row where follower = $1",
                params![self.name()],
            );
        }
        Ok(())
    }
}

/// Follows until told to stop. A follower that halts ends the process: in this run no entry is poison.
pub(crate) async fn follow(
    follower: Follower,
    store: Arc<Store>,
    how: How,
    closing: CancellationToken,
) -> anyhow::Result<()> {
    let projector = Projector::new(store.db.clone(), store.log.clone(), follower);
    if how.rebuild {
        replay(&projector, &closing).await?;
    }
    if how.once {
        projector.catch_up().await?;
        return Ok(());
    }
    let running = projector.clone().run(closing);
    let mut running = std::pin::pin!(running);
    loop {
        tokio::select! {
            () = &mut running => return Ok(()),
            () = sleep(LOOK_EVERY) => {}
        }
        if let Some(reason) = projector.halted() {
            bail!("{} {reason}", projector.name());
        }
    }
}

/// From the start; what the store's outages interrupt goes on from where it came to.
async fn replay(projector: &Projector, closing: &CancellationToken) -> anyhow::Result<()> {
    let mut replayed = projector.rebuild().await;
    while let Err(ProjectorError::Unavailable(reason)) = &replayed {
        eprintln!("the replay waits: {reason}");
        if closing.is_cancelled() {
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
        replayed = projector.catch_up().await;
    }
    replayed?;
    Ok(())
}
