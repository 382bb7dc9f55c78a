use jiff::Timestamp;
use stanchion::auth::oauth::Scopes;
use stanchion::auth::refresh::RefreshToken;
use stanchion::runtime::clock;
use uuid::Uuid;

use super::issue::Claimed;
use crate::application::authenticate::Bearer;
use crate::application::{Failure, Identity};
use crate::domain::{RegisteredClient, scope};

/// What is told of a token that lives (RFC 7662).
pub(crate) struct Introspected {
    pub(crate) subject: String,
    pub(crate) client: Option<Uuid>,
    pub(crate) scope: String,
    pub(crate) expires_at: Timestamp,
    /// Access tokens alone have these.
    pub(crate) access: Option<(Timestamp, Uuid)>,
}

impl Identity {
    /// What a token is worth now; `None` for one that is worth nothing, and for one that is none of the asker's business.
    pub(crate) async fn introspect(
        &self,
        asker: &RegisteredClient,
        token: &str,
    ) -> Result<Option<Introspected>, Failure> {
        if let Some(presented) = RefreshToken::parse(token) {
            return self.introspect_refresh(asker, &presented).await;
        }
        let Some(claimed) = self.claims_of(token).await else {
            return Ok(None);
        };
        if !asker.plan.resource_server && claimed.claims.client != Some(asker.id.0) {
            return Ok(None);
        }
        self.introspect_access(claimed).await
    }

    async fn introspect_access(&self, claimed: Claimed) -> Result<Option<Introspected>, Failure> {
        let Claimed { claims, for_api } = claimed;
        let access = Some((claims.issued_at, claims.id));
        let (client, expires_at) = (claims.client, claims.expires_at);
        let Some(Bearer { principal, grant }) = self.bearer_of(claims).await? else {
            return Ok(None);
        };
        let mut scope = principal.permissions.to_string();
        if let Some(grant) = grant {
            let words = words(&grant.scopes, for_api);
            scope = [words.to_string(), scope].join(" ").trim().to_owned();
        }
        Ok(Some(Introspected {
            subject: principal.subject.to_string(),
            client,
            scope,
            expires_at,
            access,
        }))
    }

    async fn introspect_refresh(
        &self,
        asker: &RegisteredClient,
        presented: &RefreshToken,
    ) -> Result<Option<Introspected>, Failure> {
        let (hash, now) = (presented.hash(), clock::now());
        let grant = self.oauth.codes.grant_of_token(&self.db, &hash).await?;
        // Whoever serves others never sees refresh tokens.
        let Some(grant) = grant.filter(|grant| grant.client == asker.id) else {
            return Ok(None);
        };
        let good = self.oauth.codes.good_until(&self.db, &hash, now).await?;
        let (Some(expires_at), Some(_)) = (good, self.standing(grant.session).await?) else {
            return Ok(None);
        };
        Ok(Some(Introspected {
            subject: grant.user.to_string(),
            client: Some(grant.client.0),
            scope: grant.scopes.to_string(),
            expires_at,
            access: None,
        }))
    }
}

/// What is no permission: those are told as they are now.
fn words(scopes: &Scopes, for_api: bool) -> Scopes {
    scopes.only(|word| scope::is_for_userinfo(word) || for_api && word == scope::SHOP)
}
