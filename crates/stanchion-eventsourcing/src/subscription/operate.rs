//! What an operator does: pause, resume, rewind; durable, so that whichever process runs the subscription obeys.

use stanchion_messaging::StoreError;

use super::{Checkpoint, CheckpointError, Subscription};
use crate::{Filter, LogError, Position};

impl Subscription {
    /// Stops after the page at hand until [`Subscription::resume`], also over a restart and in other processes (within 5 s).
    ///
    /// # Errors
    /// The checkpoints cannot be reached; it goes on.
    pub async fn pause(&self) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let _saving = inner.rewinds.lock().await;
        let mark = Checkpoint {
            position: *inner.position.borrow(),
            ..Checkpoint::start(inner.log.id())
        };
        inner.checkpoints.save(&self.pause_key(), &mark).await?;
        inner.paused.send_replace(true);
        Ok(())
    }

    /// Goes on after a pause, and tries again after a halt of this process.
    ///
    /// # Errors
    /// The checkpoints cannot be reached; a pause stays.
    pub async fn resume(&self) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let _saving = inner.rewinds.lock().await;
        inner.checkpoints.remove(&self.pause_key()).await?;
        inner.paused.send_replace(false);
        Ok(())
    }

    /// Goes on after `to`, which may be earlier or later; also after a halt. Entries after it come (again). To a process that
    /// runs it, while another one rewinds it, only after a pause or a restart.
    ///
    /// # Errors
    /// [`CheckpointError::WentBack`]: the log is not that long. The log or the checkpoints cannot be reached.
    pub async fn rewind(&self, to: Position) -> Result<(), CheckpointError> {
        let log = &self.inner.log;
        let mut checkpoint = Checkpoint::start(log.id());
        if to > Position::START {
            let found = log.read(Position(to.0 - 1), &Filter::all(), 1).await?;
            let Some(entry) = found.first().filter(|entry| entry.position == to) else {
                let head = log.head().await?;
                return Err(CheckpointError::WentBack { position: to, head });
            };
            checkpoint = Checkpoint::after(log.id(), entry);
        }
        let mut rewinds = self.inner.rewinds.lock().await;
        let saved = self.save(&checkpoint).await;
        saved.map_err(|error| LogError::Unavailable(error.to_string()))?;
        *rewinds += 1;
        self.inner.position.send_replace(to);
        self.inner.paused.send_modify(|_| {});
        Ok(())
    }

    /// Whether an operator has paused it, here or in another process.
    pub(super) async fn look_for_a_pause(&self) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let _saving = inner.rewinds.lock().await;
        let kept = inner.checkpoints.load(&self.pause_key()).await?;
        inner.paused.send_if_modified(|paused| {
            let before = std::mem::replace(paused, !kept.is_empty());
            before != *paused
        });
        Ok(())
    }

    fn pause_key(&self) -> String {
        format!("{}/paused", self.key())
    }
}
