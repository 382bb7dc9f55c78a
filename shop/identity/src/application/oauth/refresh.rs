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
        if asking_for.is_some() {
            self.may_ask_for(client, presented, asking_for).await?;
        }
        let turned = self.refresh(presented, Some(client.id), metadata).await;
        let turned = turned.map_err(refused)?;
        let grant = turned.of.grant.ok_or(NOT_VALID)?;
        let asked = asked_within(asking_for, &grant.scopes)?;
        // What userinfo tells is read from what the user granted: it cannot be left out, and the answer says so.
        let told = |word: &str| asked.has(word) || scope::is_for_userinfo(word);
        let scopes = grant.scopes.only(told);
        Ok(Issued {
            access: self.user_token(&grant, &scopes, &turned.of.roles)?,
            expires_in: self.tokens.ttl(),
            scopes,
            refresh: Some(turned.token),
            id_token: None,
        })
    }

    /// Who asks for more than was granted is refused before its token is used up. What was granted never changes.
    async fn may_ask_for(
        &self,
        client: &RegisteredClient,
        presented: &str,
        asking_for: Option<&str>,
    ) -> Result<(), OAuthFailure> {
        let hash = RefreshToken::parse(presented).ok_or(NOT_VALID)?.hash();
        let granted = self.oauth.codes.grant_of_token(&self.db, &hash);
        let grant = granted.await?.filter(|grant| grant.client == client.id);
        asked_within(asking_for, &grant.ok_or(NOT_VALID)?.scopes)?;
        Ok(())
    }
}

fn refused(failure: Failure) -> OAuthFailure {
    match failure {
        Failure::Refused(Refusal::BadRefreshToken) => NOT_VALID.into(),
        other => other.into(),
    }
}
