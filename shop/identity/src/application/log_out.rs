use shop_kernel::UserId;
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;

use super::ports::Which;
use super::{Failure, Identity, Refusal, Work, Written, retried};
use crate::domain::{Event, Session, SessionEnd, SessionId};

impl Identity {
    pub(crate) async fn sessions_of(&self, user: UserId) -> Result<Vec<Session>, Failure> {
        self.sessions.list(&self.db, user, clock::now()).await
    }

    /// Ends these sessions of a user; their tokens are refused at once here, within a second elsewhere.
    pub(crate) async fn log_out(
        &self,
        user: UserId,
        which: Which,
        metadata: &Metadata,
    ) -> Result<Written<Vec<SessionId>>, Failure> {
        let written = retried(|| self.end_now(user, which, metadata)).await?;
        self.live.forget(&written.value);
        Ok(written)
    }

    /// Ends one session of a user, which must be live.
    pub(crate) async fn end_session(
        &self,
        user: UserId,
        session: SessionId,
        metadata: &Metadata,
    ) -> Result<Written<()>, Failure> {
        let written = self.log_out(user, Which::One(session), metadata).await?;
        if written.value.is_empty() {
            return Err(Refusal::SessionNotFound.into());
        }
        Ok(Written {
            value: (),
            position: written.position,
        })
    }

    pub(super) async fn end_all(
        &self,
        work: &mut Work<'_>,
        user: UserId,
        reason: SessionEnd,
    ) -> Result<Vec<SessionId>, Failure> {
        self.end(work, user, Which::All, reason).await
    }

    /// Ends them and records each; what ends all or all but one is the user's next epoch.
    pub(super) async fn end(
        &self,
        work: &mut Work<'_>,
        user: UserId,
        which: Which,
        reason: SessionEnd,
    ) -> Result<Vec<SessionId>, Failure> {
        let now = clock::now();
        if matches!(which, Which::All | Which::AllBut(_)) {
            self.sessions.new_epoch(work.rows(), user).await?;
        }
        let ended = self
            .sessions
            .end(work.rows(), user, which, reason, now)
            .await?;
        for session_id in &ended {
            work.record(&Event::SessionEnded {
                session_id: *session_id,
                user_id: user,
                reason,
            })?;
        }
        Ok(ended)
    }

    async fn end_now(
        &self,
        user: UserId,
        which: Which,
        metadata: &Metadata,
    ) -> Result<Written<Vec<SessionId>>, Failure> {
        let mut work = Work::begin(&self.db, metadata);
        let ended = self
            .end(&mut work, user, which, SessionEnd::LoggedOut)
            .await?;
        let position = work.commit().await?;
        Ok(Written {
            value: ended,
            position,
        })
    }
}
