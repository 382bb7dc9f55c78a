use shop_kernel::UserId;
use stanchion::auth::refresh::{Child, Decision, Family, Nonce, RefreshHash, RefreshToken};
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;
use stanchion::sql::SqlError;

use super::counts::Refreshed;
use super::ports::{Presented, Rotated, Rotation, Which};
use super::{Failure, Identity, Refusal, Tokens, Work, retried};
use crate::domain::{ClientGrant, ClientId, Event, RoleSet, SessionEnd, SessionId};

/// The token that follows a presented one, and for whom; whoever hands it out signs what goes with it.
pub(super) struct Turned {
    pub(super) token: RefreshToken,
    pub(super) of: Rotated,
}

/// What became of a presented token; also a refusal may have something to commit.
enum Outcome {
    Rotated(Turned),
    /// The child that it was answered with before.
    Again(Turned),
    /// The family has ended with this transaction.
    Reused(SessionId),
    Refused(Refreshed),
}

/// The child that a token gets if it may have one; known before the store is asked.
struct Next {
    token: RefreshToken,
    nonce: Option<Nonce>,
}

impl Identity {
    /// Exchanges a refresh token of our own login; a client's is refused, because nobody proved to be that client.
    pub(crate) async fn refresh_own(
        &self,
        presented: &str,
        metadata: &Metadata,
    ) -> Result<Tokens, Failure> {
        let Turned { token, of } = self.refresh(presented, None, metadata).await?;
        Ok(Tokens {
            access: self.access_token(of.user, of.session, &of.roles)?,
            refresh: token,
            expires_in: self.tokens.ttl(),
            device: None,
        })
    }

    /// Exchanges a refresh token for the next one, once; one that is not of the client that it is presented `by` is refused
    /// and left as it is. A second use ends the session, whoever was first; within the overlap, if there is one, it is
    /// answered with the same refresh token again.
    ///
    /// Everything that decides is in the store. After an unknown outcome the client may try again: that rotates, is answered
    /// within the overlap, or is a reuse.
    pub(super) async fn refresh(
        &self,
        presented: &str,
        by: Option<ClientId>,
        metadata: &Metadata,
    ) -> Result<Turned, Failure> {
        let Some(token) = RefreshToken::parse(presented) else {
            self.counts.refreshed(Refreshed::Unknown);
            return Err(Refusal::BadRefreshToken.into());
        };
        let hash = token.hash();
        let outcome = retried(|| self.turned(&hash, by, metadata)).await;
        self.counts.refreshed(match &outcome {
            Ok(Outcome::Rotated(_)) => Refreshed::Rotated,
            Ok(Outcome::Again(_)) => Refreshed::Again,
            Ok(Outcome::Reused(_)) => Refreshed::Reused,
            Ok(Outcome::Refused(why)) => *why,
            Err(_) => Refreshed::Failed,
        });
        match outcome? {
            Outcome::Rotated(turned) | Outcome::Again(turned) => Ok(turned),
            Outcome::Reused(session) => {
                self.live.forget(&[session]);
                tracing::warn!(session_id = %session, "a refresh token was used twice: its session has ended");
                Err(Refusal::BadRefreshToken.into())
            }
            Outcome::Refused(_) => Err(Refusal::BadRefreshToken.into()),
        }
    }

    /// The common case is one statement where the store has one for it; what that does not do is looked at closely.
    async fn turned(
        &self,
        hash: &RefreshHash,
        by: Option<ClientId>,
        metadata: &Metadata,
    ) -> Result<Outcome, Failure> {
        let now = clock::now();
        let (token, nonce) = self.overlap.child_of(hash);
        let rotation = Rotation {
            parent: hash,
            child: token.hash(),
            nonce,
            expires_at: self.lifetimes.idle_end(now),
            by,
        };
        let next = Next { token, nonce };
        match self.sessions.rotate(&self.db, &rotation, now).await? {
            Some(of) => Ok(Outcome::Rotated(Turned {
                token: next.token,
                of,
            })),
            None => {
                // Whose a session is never changes, so it need not be asked in the transaction that decides.
                let grant = self.oauth.codes.grant_of_token(&self.db, hash).await?;
                if grant.as_ref().map(|grant| grant.client) != by {
                    return Ok(Outcome::Refused(Refreshed::Unknown));
                }
                self.judge(hash, next, grant, metadata).await
            }
        }
    }

    /// All that decides is read and written in one transaction, with the family locked: no cache, no memory.
    async fn judge(
        &self,
        hash: &RefreshHash,
        next: Next,
        grant: Option<ClientGrant>,
        metadata: &Metadata,
    ) -> Result<Outcome, Failure> {
        let work = Work::begin(&self.db, metadata);
        let found = self
            .sessions
            .find_token(work.rows(), hash, clock::now())
            .await?;
        let Some(found) = found else {
            return Ok(Outcome::Refused(Refreshed::Unknown));
        };
        let (row, family, used) = (Some(&found.row), Some(&found.family), found.used.as_ref());
        let decision = self
            .overlap
            .decide(row, family, used, found.now, &self.lifetimes);
        match (decision, &found.roles) {
            (Decision::RevokeFamily, _) => self.revoke(work, &found.family).await,
            (Decision::Rotate(child), Some(roles)) => {
                let token = self.hand_out(work, &found, &child, next).await?;
                let of = rotated(&found.family, roles, grant);
                Ok(Outcome::Rotated(Turned { token, of }))
            }
            (Decision::Again(token), Some(roles)) => {
                let of = rotated(&found.family, roles, grant);
                Ok(Outcome::Again(Turned { token, of }))
            }
            (Decision::Expired, _) => Ok(Outcome::Refused(Refreshed::Expired)),
            (Decision::Unknown, _) => Ok(Outcome::Refused(Refreshed::Unknown)),
            // Revoked, or its user is not active any more.
            _ => Ok(Outcome::Refused(Refreshed::Revoked)),
        }
    }

    async fn hand_out(
        &self,
        work: Work<'_>,
        found: &Presented,
        child: &Child,
        next: Next,
    ) -> Result<RefreshToken, Failure> {
        let (hash, now) = (&found.row.hash, found.now);
        // The statement decides, not what was read before it.
        if !self.sessions.use_token(work.rows(), hash, now).await? {
            let why = "a token that was live and locked has changed".into();
            return Err(SqlError::Serialization(why).into());
        }
        let row = child.row_of(&next.token);
        self.sessions
            .add_token(work.rows(), &row, next.nonce, now)
            .await?;
        work.commit().await?;
        Ok(next.token)
    }

    async fn revoke(&self, mut work: Work<'_>, family: &Family) -> Result<Outcome, Failure> {
        let (user_id, session_id) = (UserId(family.user), SessionId(family.id));
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

fn rotated(family: &Family, roles: &RoleSet, grant: Option<ClientGrant>) -> Rotated {
    Rotated {
        session: SessionId(family.id),
        user: UserId(family.user),
        roles: roles.clone(),
        grant,
    }
}
