//! For an operator: who somebody is, and what they may.

use shop_kernel::UserId;
use stanchion::auth::{Principal, Roles, Subject};
use stanchion::sql::Db;

use crate::adapters::rows::UserRows;
use crate::application::{Failure, UserRepository};
use crate::domain::role::table;
use crate::domain::{Email, Role, User, Username};

/// The shop's table of roles and permissions.
#[must_use]
pub fn roles() -> Roles {
    table()
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
        permissions: user.roles.permissions(),
        session: None,
        on_behalf_of: None,
        expires_at: None,
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
