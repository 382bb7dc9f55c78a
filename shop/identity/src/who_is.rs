//! For an operator: who somebody is, and what they may.

use std::collections::BTreeSet;

use shop_kernel::UserId;
use stanchion::auth::{Permissions, Principal, Roles, Subject};
use stanchion::sql::Db;

use crate::adapters::rows::{ClientRows, UserRows};
use crate::application::oauth::ports::ClientRepository;
use crate::application::{Failure, UserRepository};
use crate::domain::role::table;
use crate::domain::{ClientId, Email, Role, User, Username, scope};

/// The shop's table of roles and permissions.
#[must_use]
pub fn roles() -> Roles {
    table().clone()
}

/// Whom a name means to an operator: a user by id, username or e-mail address, as a token issued now would speak for it.
///
/// # Errors
/// The store cannot be read.
pub async fn who_is(db: &Db, name: &str) -> Result<Option<Principal>, String> {
    let user = find(db, name).await.map_err(|error| error.to_string())?;
    Ok(user.map(|user| Principal {
        subject: Subject::User(user.id.0),
        roles: user
            .roles
            .iter()
            .map(Role::name)
            .map(str::to_owned)
            .collect(),
        bound_by: BTreeSet::new(),
        permissions: user.roles.permissions(),
        session: None,
        on_behalf_of: None,
        expires_at: None,
    }))
}

/// Whom an OAuth client's id means to an operator: the client with a token of its own, or acting for that user, who let it
/// have all that it may ask for.
///
/// # Errors
/// The store cannot be read; or the client is disabled, and nobody speaks for it.
pub async fn who_is_client(
    db: &Db,
    client: &str,
    user: Option<&Principal>,
) -> Result<Option<Principal>, String> {
    let Ok(id) = client.parse::<ClientId>() else {
        return Ok(None);
    };
    let found = ClientRows.find(db, id).await;
    let Some(found) = found.map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    if found.disabled_at.is_some() {
        return Err(format!("the client {client} is disabled"));
    }
    let asked = scope::permissions(&found.plan.scopes);
    Ok(Some(match user {
        None => Principal {
            subject: Subject::Client(id.0),
            roles: BTreeSet::new(),
            bound_by: BTreeSet::new(),
            permissions: asked,
            session: None,
            on_behalf_of: None,
            expires_at: None,
        },
        // The user's roles bind it and give it nothing, as such a token is.
        Some(user) => {
            let both = asked.iter().filter(|name| user.permissions.allows(name));
            Principal {
                roles: BTreeSet::new(),
                bound_by: user.roles.clone(),
                permissions: Permissions::new(both).unwrap_or_default(),
                ..user.clone()
            }
        }
    }))
}

async fn find(db: &Db, name: &str) -> Result<Option<User>, Failure> {
    if let Ok(id) = name.parse::<UserId>() {
        return UserRows.find_by_id(db, id).await;
    }
    if let Ok(email) = name.parse::<Email>() {
        return UserRows.find_by_email(db, &email).await;
    }
    match name.parse::<Username>() {
        Ok(username) => UserRows.find_by_username(db, &username).await,
        Err(_) => Ok(None),
    }
}
