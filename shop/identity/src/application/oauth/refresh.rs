use stanchion::auth::oauth::{OAuthError, Refused};
use stanchion::auth::refresh::RefreshToken;
use stanchion::eventsourcing::Metadata;

use super::issue::asked_within;
use super::{Issued, OAuthFailure};
use crate::application::{Failure, Identity, Refusal};
use crate::domain::{Flow, RegisteredClient, scope};

const NOT_VALID: Refused = OAuthError::InvalidGrant.because("the refresh token is not valid");

impl Identity {
    /// Exchanges a client's refresh token, once; a second use ends the session.
    pub(crate) async fn refresh_for_client(
        &self,
        client: &RegisteredClient,
        presented: &str,
        asking_for: Option<&str>,
        metadata: &Metadata,
    ) -> Result<Issued, OAuthFailure> {
        if !client.may(Flow::RefreshToken) {
            let refused = OAuthError::UnauthorizedClient;
            return Err(refused.because("not one of this client's grants").into());
        }
        let token = RefreshToken::parse(presented).ok_or(NOT_VALID)?;
        let hash = token.hash();
        let granted = self.oauth.codes.grant_of_token(&self.db, &hash);
        // Whose a session is never changes, so it need not be asked in the transaction that decides.
        let grant = granted.await?.filter(|grant| grant.client == client.id);
        let grant = grant.ok_or(NOT_VALID)?;
        let asked = asked_within(asking_for, &grant.scopes)?;
        // What userinfo tells is read from what the user granted: it cannot be left out, and the answer says so.
        let told = |word: &str| asked.has(word) || scope::is_for_userinfo(word);
        let scopes = grant.scopes.only(told);
        let turned = self.refresh(presented, false, metadata).await;
        let turned = turned.map_err(refused)?;
        Ok(Issued {
            access: self.user_token(&grant, &scopes, &turned.of.roles)?,
            expires_in: self.tokens.ttl(),
            scopes,
            refresh: Some(turned.token),
            id_token: None,
        })
    }
}

fn refused(failure: Failure) -> OAuthFailure {
    match failure {
        Failure::Refused(Refusal::BadRefreshToken) => NOT_VALID.into(),
        other => other.into(),
    }
}
