//! One rebuild or verification of a projection at a time, over all processes.

use std::time::Duration;

use stanchion_runtime::task;
use tokio::sync::{MutexGuard, oneshot};
use tokio::time::Instant;
use tracing::debug;

use super::target::name_of;
use super::{Projector, ProjectorError};
use crate::{Engine, Lease, LeaseError, Leases, SqlError, Tx};

/// For how long a process that is gone keeps others from a rebuild or a verification.
const LEASE: Duration = Duration::from_secs(15);

/// For how long it is waited for: whoever was stopped gives it back a moment later.
const WAIT: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(50);

/// Held by whoever rebuilds or verifies.
pub(super) struct Turn<'a> {
    _here: MutexGuard<'a, ()>,
    fence: Fence,
    over: bool,
}

/// What tells whoever believes to have the turn whether it still has.
#[derive(Clone)]
pub(super) struct Fence {
    /// PostgreSQL. An embedded store belongs to one process, or can only be read.
    lease: Option<(Leases, Lease)>,
}

impl Projector {
    /// The turn, unless somebody has it.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, ProjectorError> {
        let end = Instant::now() + WAIT;
        loop {
            if let Some(turn) = self.turn_if_free().await? {
                return Ok(turn);
            }
            if Instant::now() >= end {
                let busy = "another process rebuilds or verifies it, or did less than 15 s ago and is gone";
                return Err(ProjectorError::Refused(busy.into()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// `None` if another process has it.
    pub(super) async fn turn_if_free(&self) -> Result<Option<Turn<'_>>, ProjectorError> {
        let here = self.inner.rebuild.alone()?;
        if self.db().engine() == Engine::Sqlite {
            return Ok(Some(Turn::new(here, None)));
        }
        let leases = Leases::new(self.db().clone());
        let name = name_of(self.name(), "turn");
        let taken = take(leases.clone(), name).await?;
        // It may have been over when it was heard of: it is asked for again.
        let taken = taken.filter(|lease| !lease.is_over(LEASE));
        Ok(taken.map(|lease| Turn::new(here, Some((leases, lease)))))
    }
}

/// Takes the lease; whoever asked and went away meanwhile does not keep it.
async fn take(leases: Leases, name: String) -> Result<Option<Lease>, SqlError> {
    let (tell, told) = oneshot::channel();
    let _runs_on = task::spawn("turn", async move {
        let taken = leases.take(&name, LEASE).await;
        if let Err(Ok(Some(lease))) = tell.send(taken) {
            drop(leases.release(&lease).await);
        }
    });
    let gone = |_| SqlError::Unavailable("the runtime ends".into());
    told.await.map_err(gone)?
}

impl<'a> Turn<'a> {
    fn new(here: MutexGuard<'a, ()>, lease: Option<(Leases, Lease)>) -> Self {
        Self {
            _here: here,
            fence: Fence { lease },
            over: false,
        }
    }

    pub(super) fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Works for as long as the lease is held, and gives it back.
    pub(super) async fn take<T>(
        mut self,
        work: impl Future<Output = Result<T, ProjectorError>>,
    ) -> Result<T, ProjectorError> {
        let done = tokio::select! {
            // The lease first: after a pause it may be somebody else's.
            biased;
            () = self.fence.keep() => Err(ProjectorError::Refused(
                "the lease on it was lost: another process may be at it".into(),
            )),
            done = work => done,
        };
        self.fence.release().await;
        // Not before: cancelled meanwhile, it is done again.
        self.over = true;
        done
    }
}

impl Fence {
    /// Within a transaction that changes what others read: not by one who only believes to have the turn.
    pub(super) async fn guard(&self, tx: &Tx) -> Result<(), SqlError> {
        let Some((leases, lease)) = &self.lease else {
            return Ok(());
        };
        leases.guard(tx, lease).await.map_err(|error| match error {
            LeaseError::Sql(error) => error,
            lost @ LeaseError::Lost(_) => SqlError::Usage(lost.to_string()),
        })
    }

    async fn keep(&self) {
        match &self.lease {
            Some((leases, lease)) => leases.keep(lease, LEASE).await,
            None => std::future::pending().await,
        }
    }

    async fn release(&self) {
        if let Some((leases, lease)) = &self.lease
            && let Err(error) = leases.release(lease).await
        {
            debug!(%error, "a lease could not be given back and will expire");
        }
    }
}

impl Drop for Turn<'_> {
    /// Whose work was cancelled.
    fn drop(&mut self) {
        if !self.over && tokio::runtime::Handle::try_current().is_ok() {
            let fence = self.fence.clone();
            let _detached = task::spawn("turn-over", async move { fence.release().await });
        }
    }
}
