use std::sync::Arc;

use stanchion::auth::api_key::ApiKey;
use stanchion::auth::token::Claims;
use stanchion::auth::{Permissions, Principal, Subject};
use stanchion::runtime::clock;

use super::counts::Source;
use super::ports::Standing;
use super::{Failure, Identity};
use crate::domain::{ClientGrant, Role, SessionId};

/// Who bears a token that counts.
pub(super) struct Bearer {
    pub(super) principal: Principal,
    /// What its client was granted, if it is a client's for a user.
    pub(super) grant: Option<Arc<ClientGrant>>,
}

impl Identity {
    /// Who bears this access token or API key; `None` for one that lets nobody in.
    ///
    /// Signature and claims first, then the store: the session must be live and its user active.
    pub(crate) async fn bearer(&self, token: &str) -> Result<Option<Principal>, Failure> {
        if ApiKey::is_one(token) {
            return self.key_bearer(token).await;
        }
        match self.claims(token).await {
            Some(claims) => self.principal_of(claims).await,
            None => Ok(None),
        }
    }

    async fn principal_of(&self, claims: Claims) -> Result<Option<Principal>, Failure> {
        let bearer = self.bearer_of(claims).await?;
        Ok(bearer.map(|bearer| bearer.principal))
    }

    /// Whom verified claims stand for, as the store has it now.
    pub(super) async fn bearer_of(&self, claims: Claims) -> Result<Option<Bearer>, Failure> {
        if !self.client_stands(&claims).await? {
            return Ok(None);
        }
        let (Subject::User(user), Some(session)) = (&claims.subject, claims.session) else {
            let principal = claims.into_principal();
            return Ok(Some(Bearer {
                principal,
                grant: None,
            }));
        };
        let standing = self.standing(SessionId(session)).await?;
        let standing = standing.filter(|standing| standing.user.0 == *user);
        Ok(standing.map(|standing| Bearer {
            principal: narrowed(claims, &standing),
            grant: standing.grant,
        }))
    }

    /// Whether a session began with a login of our own, and lives. A client's is not its user's own: what decides who gets
    /// in is none of a client's business.
    pub(crate) async fn is_own_login(&self, session: SessionId) -> Result<bool, Failure> {
        let standing = self.standing(session).await?;
        Ok(standing.is_some_and(|standing| standing.grant.is_none()))
    }

    pub(super) async fn standing(&self, session: SessionId) -> Result<Option<Standing>, Failure> {
        if let Some(known) = self.live.get(session) {
            self.counts.looked_up(Source::Memory);
            return Ok(known.filter(|known| clock::now() < known.until));
        }
        self.counts.looked_up(Source::Store);
        let question = self.live.ask();
        let standing = self.standing_as_stored(session).await?;
        self.live.remember(question, session, standing.clone());
        Ok(standing)
    }

    /// Who stands behind a live session, by the store alone: for whoever remembers the answer. The session is being used.
    pub(crate) async fn standing_as_stored(
        &self,
        session: SessionId,
    ) -> Result<Option<Standing>, Failure> {
        let now = clock::now();
        let standing = self.sessions.live(&self.db, session, now).await?;
        if let Some(standing) = &standing {
            self.note_use(session, standing, now);
        }
        Ok(standing)
    }
}

/// What the token allows and its user may still do: a role that is taken away ends with no token. One that the token does not
/// name, because it is a client's or the role was given since, binds it and gives it nothing.
pub(crate) fn narrowed(claims: Claims, standing: &Standing) -> Principal {
    let held = standing.roles.permissions();
    let both = claims.permissions.iter().filter(|name| held.allows(name));
    let permissions = Permissions::new(both).unwrap_or_default();
    // A client's token names none.
    let named = |role: &String| claims.roles.contains(role);
    let roles = standing.roles.iter().map(Role::name).map(str::to_owned);
    let (roles, bound_by) = roles.partition(named);
    Principal {
        roles,
        bound_by,
        permissions,
        ..claims.into_principal()
    }
}
