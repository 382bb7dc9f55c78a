use stanchion::auth::token::Claims;
use stanchion::auth::{Permissions, Principal, Subject};
use stanchion::runtime::clock;

use super::ports::Standing;
use super::{Failure, Identity};
use crate::domain::{Role, SessionId};

impl Identity {
    /// Who bears this access token; `None` for one that lets nobody in.
    ///
    /// Signature and claims first, then the store: the session must be live and its user active.
    pub(crate) async fn bearer(&self, token: &str) -> Result<Option<Principal>, Failure> {
        match self.tokens.verify(token, clock::now()) {
            Ok(claims) => self.principal_of(claims).await,
            Err(_) => Ok(None),
        }
    }

    /// Whom verified claims stand for, as the store has it now.
    pub(super) async fn principal_of(&self, claims: Claims) -> Result<Option<Principal>, Failure> {
        if !self.client_stands(&claims).await? {
            return Ok(None);
        }
        let (Subject::User(user), Some(session)) = (&claims.subject, claims.session) else {
            return Ok(Some(claims.into_principal()));
        };
        let standing = self.standing(SessionId(session)).await?;
        let standing = standing.filter(|standing| standing.user.0 == *user);
        Ok(standing.map(|standing| narrowed(claims, &standing)))
    }

    pub(super) async fn standing(&self, session: SessionId) -> Result<Option<Standing>, Failure> {
        if let Some(known) = self.live.get(session) {
            return Ok(known);
        }
        let question = self.live.ask();
        let standing = self.standing_as_stored(session).await?;
        self.live.remember(question, session, standing.clone());
        Ok(standing)
    }

    /// Who stands behind a live session, by the store alone: for whoever remembers the answer.
    pub(crate) async fn standing_as_stored(
        &self,
        session: SessionId,
    ) -> Result<Option<Standing>, Failure> {
        let now = clock::now();
        self.sessions.standing(&self.db, session, now).await
    }
}

/// What the token allows and its user may still do: a role that is taken away ends with no token.
pub(crate) fn narrowed(claims: Claims, standing: &Standing) -> Principal {
    let held = standing.roles.permissions();
    let both = claims.permissions.iter().filter(|name| held.allows(name));
    let permissions = Permissions::new(both).unwrap_or_default();
    // A client's token names none.
    let named = |role: &&str| claims.roles.contains(*role);
    let roles = standing.roles.iter().map(Role::name).filter(named);
    Principal {
        roles: roles.map(str::to_owned).collect(),
        permissions,
        ..claims.into_principal()
    }
}
