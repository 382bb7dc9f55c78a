use shop_kernel::UserId;
use stanchion::auth::refresh::{Child, Decision, Family, RefreshHash, RefreshToken, decide};
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;

use super::ports::Which;
use super::{Failure, Identity, Refusal, Tokens, Work, retried};
use crate::domain::{Event, SessionEnd, SessionId};

/// What a transaction made of a presented token; also a refusal may have something to commit.
enum Outcome {
    Rotated(Tokens),
    /// The family has ended with this transaction.
    Reused(SessionId),
    Refused,
}

impl Identity {
    /// Exchanges a refresh token for new tokens, once. A second use ends the session, whoever was first.
    pub(crate) async fn refresh(
        &self,
        presented: &str,
        metadata: &Metadata,
    ) -> Result<Tokens, Failure> {
        let token = RefreshToken::parse(presented).ok_or(Refusal::BadRefreshToken)?;
        let hash = token.hash();
        match retried(|| self.rotate(&hash, metadata)).await? {
            Outcome::Rotated(tokens) => Ok(tokens),
            Outcome::Reused(session) => {
                self.live.forget(&[session]);
                tracing::warn!(session_id = %session, "a refresh token was used twice: its session has ended");
                Err(Refusal::BadRefreshToken.into())
            }
            Outcome::Refused => Err(Refusal::BadRefreshToken.into()),
        }
    }

    /// Everything that decides is read and written in one transaction of the store: no cache, no memory.
    async fn rotate(&self, hash: &RefreshHash, metadata: &Metadata) -> Result<Outcome, Failure> {
        let now = clock::now();
        let work = Work::begin(&self.db, metadata);
        let found = self.sessions.find_token(work.rows(), hash).await?;
        let (row, family) = found.unzip();
        match (
            decide(row.as_ref(), family.as_ref(), now, &self.lifetimes),
            family,
        ) {
            (Decision::Rotate(child), Some(family)) => {
                // The statement decides, not what was read before it.
                if self.sessions.use_token(work.rows(), hash, now).await? {
                    self.hand_out(work, child, &family).await
                } else {
                    self.revoke(work, &family).await
                }
            }
            (Decision::RevokeFamily, Some(family)) => self.revoke(work, &family).await,
            _ => Ok(Outcome::Refused),
        }
    }

    async fn hand_out(
        &self,
        work: Work<'_>,
        child: Child,
        family: &Family,
    ) -> Result<Outcome, Failure> {
        let now = clock::now();
        let session = SessionId(family.id);
        let standing = self.sessions.standing(work.rows(), session, now).await?;
        let Some(standing) = standing else {
            return Ok(Outcome::Refused);
        };
        let (refresh, row) = child.issue();
        self.sessions.add_token(work.rows(), &row, now).await?;
        let access = self.access_token(standing.user, session, &standing.roles)?;
        work.commit().await?;
        Ok(Outcome::Rotated(Tokens {
            access,
            refresh,
            expires_in: self.tokens.ttl(),
        }))
    }

    async fn revoke(&self, mut work: Work<'_>, family: &Family) -> Result<Outcome, Failure> {
        let (session_id, user_id) = (SessionId(family.id), UserId(family.user));
        work.record(&Event::RefreshReused {
            session_id,
            user_id,
        })?;
        let which = Which::One(session_id);
        self.end(&mut work, user_id, which, SessionEnd::RefreshReused)
            .await?;
        work.commit().await?;
        Ok(Outcome::Reused(session_id))
    }
}
