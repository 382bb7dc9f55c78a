use secrecy::SecretString;
use stanchion::auth::Permissions;
use stanchion::auth::oauth::{IdClaims, OAuthError, Refused, Scopes};
use stanchion::auth::token::{AccessTokens, Claims, Grant, IssueError};
use stanchion::runtime::clock;

use super::{Issued, OAuthFailure};
use crate::application::Identity;
use crate::domain::{ClientGrant, Flow, RegisteredClient, RoleSet, scope};

/// What is below the issuer's URL.
const USERINFO: &str = "/oauth2/userinfo";

/// What a verified access token says.
pub(super) struct Claimed {
    pub(super) claims: Claims,
    /// Or for userinfo alone.
    pub(super) for_api: bool,
}

const NO_SUCH_SCOPE: Refused =
    OAuthError::InvalidScope.because("a scope is malformed, unknown, or not one of this client's");

impl Identity {
    /// The client's own token (`client_credentials`).
    pub(crate) fn issue_to_client(
        &self,
        client: &RegisteredClient,
        scope: Option<&str>,
    ) -> Result<Issued, OAuthFailure> {
        if !client.may(Flow::ClientCredentials) {
            let refused = OAuthError::UnauthorizedClient;
            return Err(refused.because("not one of this client's grants").into());
        }
        let own = client
            .plan
            .scopes
            .only(stanchion::auth::permission::is_name);
        let scopes = asked_within(scope, &own)?;
        let grant = Grant::to_client(client.id.0, scope::permissions(&scopes));
        Ok(Issued {
            access: self.tokens.issue(&grant, clock::now())?,
            expires_in: self.tokens.ttl(),
            scopes,
            refresh: None,
            id_token: None,
        })
    }

    /// A user's token for a client: for the API only if the user let the client act there.
    ///
    /// It names no roles, so that a policy about roles gives the client nothing that its scopes do not say.
    pub(super) fn user_token(
        &self,
        grant: &ClientGrant,
        scopes: &Scopes,
        roles: &RoleSet,
    ) -> Result<SecretString, IssueError> {
        let (held, asked) = (roles.permissions(), scope::permissions(scopes));
        let both = asked.iter().filter(|name| held.allows(name));
        let permissions = Permissions::new(both).unwrap_or_default();
        let roles: [&str; 0] = [];
        let token = Grant::to_user(grant.user.0, grant.session.0, roles, permissions);
        let token = token.by_client(grant.client.0);
        if scopes.has(scope::SHOP) {
            self.tokens.issue(&token, clock::now())
        } else {
            self.for_userinfo().issue(&token, clock::now())
        }
    }

    pub(super) fn id_token(
        &self,
        grant: &ClientGrant,
        nonce: Option<&str>,
    ) -> Result<SecretString, IssueError> {
        let now = clock::now();
        let claims = IdClaims {
            issuer: self.tokens.issuer(),
            subject: grant.user.0,
            client: grant.client.0,
            session: grant.session.0,
            nonce,
            authenticated_at: grant.authenticated_at,
            issued_at: now,
            expires_at: now.saturating_add(self.tokens.ttl()).unwrap_or(now),
        };
        claims.sign(&self.tokens.ring())
    }

    /// What an access token says, for the API or for userinfo alone; `None` for what is no token of ours that lives.
    pub(super) async fn claims_of(&self, token: &str) -> Option<Claimed> {
        self.read_token(token, || self.claimed(token)).await
    }

    fn claimed(&self, token: &str) -> Option<Claimed> {
        let now = clock::now();
        if let Ok(claims) = self.tokens.verify(token, now) {
            let for_api = true;
            return Some(Claimed { claims, for_api });
        }
        let claims = self.for_userinfo().verify(token, now).ok()?;
        let for_api = false;
        Some(Claimed { claims, for_api })
    }

    /// Tokens that the API does not take.
    fn for_userinfo(&self) -> AccessTokens {
        let audience = format!("{}{USERINFO}", self.tokens.issuer().trim_end_matches('/'));
        self.tokens.for_audience(audience)
    }
}

/// The scopes asked for, or all of these without a wish; no more than these.
pub(super) fn asked_within(scope: Option<&str>, most: &Scopes) -> Result<Scopes, Refused> {
    let Some(scope) = scope else {
        return Ok(most.clone());
    };
    let asked: Scopes = scope.parse().map_err(|_| NO_SUCH_SCOPE)?;
    if !asked.is_empty() && asked.are_within(most) {
        Ok(asked)
    } else {
        Err(NO_SUCH_SCOPE)
    }
}
