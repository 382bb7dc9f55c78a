use jiff::Timestamp;
use stanchion::auth::Subject;
use stanchion::auth::oauth::Scopes;
use stanchion::auth::refresh::{RefreshState, RefreshToken};
use stanchion::auth::token::Claims;
use stanchion::runtime::clock;
use uuid::Uuid;

use crate::application::{Failure, Identity};
use crate::domain::{RegisteredClient, SessionId, scope};

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
        let Some(claims) = self.claims_of(token) else {
            return Ok(None);
        };
        if !asker.plan.resource_server && claims.client != Some(asker.id.0) {
            return Ok(None);
        }
        self.introspect_access(claims).await
    }

    async fn introspect_access(&self, claims: Claims) -> Result<Option<Introspected>, Failure> {
        let access = Some((claims.issued_at, claims.id));
        let (client, expires_at) = (claims.client, claims.expires_at);
        let Some(principal) = self.principal_of(claims).await? else {
            return Ok(None);
        };
        let mut scope = principal.permissions.to_string();
        if let (Some(_), Some(session), Subject::User(_)) =
            (client, principal.session, &principal.subject)
        {
            let grant = self
                .oauth
                .codes
                .grant_of(&self.db, SessionId(session))
                .await?;
            let words = grant.map(|grant| words(&grant.scopes)).unwrap_or_default();
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
        let reading = self.db.begin();
        let found = self.sessions.find_token(&reading, &hash).await?;
        let standing = self.sessions.standing(&reading, grant.session, now).await?;
        reading.commit().await?;
        let live = found.filter(|(row, _)| row.state == RefreshState::Live && now < row.expires_at);
        let (Some((row, _)), Some(_)) = (live, standing) else {
            return Ok(None);
        };
        Ok(Some(Introspected {
            subject: grant.user.to_string(),
            client: Some(grant.client.0),
            scope: grant.scopes.to_string(),
            expires_at: row.expires_at,
            access: None,
        }))
    }
}

/// What is no permission: those are told as they are now.
fn words(scopes: &Scopes) -> Scopes {
    let permissions = scope::permissions(scopes);
    scopes.only(|scope| !permissions.iter().any(|name| name == scope))
}
