use std::net::IpAddr;

use shop_kernel::UserId;
use stanchion::auth::Subject;
use stanchion::auth::oauth::{OAuthError, Refused};
use stanchion::auth::refresh::RefreshToken;
use stanchion::auth::token::{Claims, LEEWAY};
use stanchion::eventsourcing::Metadata;

use super::OAuthFailure;
use crate::application::ports::Which;
use crate::application::work::{Work, retried};
use crate::application::{Failure, Identity};
use crate::domain::{ClientGrant, ClientId, Event, RegisteredClient, SessionEnd, SessionId};

const NOT_ITS_OWN: Refused =
    OAuthError::InvalidGrant.because("the token was issued to another client");

impl Identity {
    /// Voids a token that a client gives back (RFC 7009): of a user's, the whole session; what is no token is as good
    /// as revoked.
    pub(crate) async fn revoke_token(
        &self,
        client: &RegisteredClient,
        token: &str,
        from: Option<IpAddr>,
        metadata: &Metadata,
    ) -> Result<(), OAuthFailure> {
        if let Some(presented) = RefreshToken::parse(token) {
            return match self.grant_to_end(client, &presented, from).await? {
                Some(grant) if grant.client == client.id => Ok(self
                    .end_granted(grant.user, grant.session, metadata)
                    .await?),
                Some(_) => Err(NOT_ITS_OWN.into()),
                None => Ok(()),
            };
        }
        let Some(claimed) = self.claims_of(token).await else {
            return Ok(());
        };
        let claims = claimed.claims;
        if claims.client != Some(client.id.0) {
            return Err(NOT_ITS_OWN.into());
        }
        match (&claims.subject, claims.session) {
            (Subject::User(user), Some(session)) => {
                let (user, session) = (UserId(*user), SessionId(session));
                self.end_granted(user, session, metadata).await?;
            }
            _ => self.void(client.id, &claims, metadata).await?,
        }
        Ok(())
    }

    /// What a refresh token was granted. Whoever knows a public client's id is that client, and tokens without end are soon made
    /// up: what is none is counted, by the address alone, before the store is asked once more.
    async fn grant_to_end(
        &self,
        client: &RegisteredClient,
        presented: &RefreshToken,
        from: Option<IpAddr>,
    ) -> Result<Option<ClientGrant>, Failure> {
        let hash = presented.hash();
        let granted = self.oauth.codes.grant_of_token(&self.db, &hash);
        if client.plan.confidential {
            return granted.await;
        }
        let attempt = self.attempts.token(from).await?;
        attempt.found(granted.await).await
    }

    /// A client's own token has no session that could end. Others hear of it by the event.
    async fn void(
        &self,
        client_id: ClientId,
        claims: &Claims,
        metadata: &Metadata,
    ) -> Result<(), Failure> {
        let token_id = claims.id;
        // As long as any clock may let it in.
        let until = claims.expires_at.saturating_add(LEEWAY);
        let until = until.unwrap_or(claims.expires_at);
        let event = Event::ClientTokenRevoked {
            client_id,
            token_id,
        };
        retried(|| async {
            let mut work = Work::begin(&self.db, metadata);
            let clients = &self.oauth.clients;
            let is_new = clients.void_token(work.rows(), token_id, until).await?;
            if is_new {
                work.record(&event)?;
            }
            work.commit().await
        })
        .await?;
        self.oauth.note_void(token_id);
        Ok(())
    }

    async fn end_granted(
        &self,
        user: UserId,
        session: SessionId,
        metadata: &Metadata,
    ) -> Result<(), Failure> {
        let ended = retried(|| async {
            let mut work = Work::begin(&self.db, metadata);
            let which = Which::One(session);
            let ended = self
                .end(&mut work, user, which, SessionEnd::Revoked)
                .await?;
            work.commit().await?;
            Ok(ended)
        });
        self.live.forget(&ended.await?);
        Ok(())
    }
}
