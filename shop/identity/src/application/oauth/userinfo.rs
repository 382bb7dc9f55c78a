use stanchion::auth::oauth::{OAuthError, Refused};

use super::OAuthFailure;
use crate::application::Identity;
use crate::domain::{ClientId, Profile, scope};
use shop_kernel::UserId;

const NOT_VALID: Refused =
    OAuthError::InvalidToken.because("the access token is not valid or has ended");
const NOT_COVERED: Refused =
    OAuthError::InsufficientScope.because("the access token does not have the scope openid");

/// What a client is told of the user who let it know (OpenID Connect Core, 5.3).
pub(crate) struct UserInfo {
    pub(crate) user: UserId,
    /// With the scope `profile`.
    pub(crate) profile: Option<Profile>,
    /// With the scope `email`.
    pub(crate) email: Option<String>,
}

impl Identity {
    pub(crate) async fn userinfo(&self, token: &str) -> Result<UserInfo, OAuthFailure> {
        let claims = self.claims_of(token).await.ok_or(NOT_VALID)?.claims;
        let client = claims.client.map(ClientId);
        let bearer = self.bearer_of(claims).await?.ok_or(NOT_VALID)?;
        let granted = bearer.grant;
        let grant = granted.filter(|grant| Some(grant.client) == client);
        let grant = grant.filter(|grant| grant.scopes.has(scope::OPENID));
        let grant = grant.ok_or(NOT_COVERED)?;
        let user = self.users.find_by_id(&self.db, grant.user).await?;
        let user = user.ok_or(NOT_VALID)?;
        let has = |scope| grant.scopes.has(scope);
        let email = user.profile.email.as_str().to_owned();
        Ok(UserInfo {
            user: user.id,
            email: has(scope::EMAIL).then_some(email),
            profile: has(scope::PROFILE).then_some(user.profile),
        })
    }
}
