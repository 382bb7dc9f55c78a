//! Users, sessions and keys as rows; the same SQL on SQLite and PostgreSQL.

mod api_keys;
mod clients;
mod codes;
mod former_emails;
mod keys;
mod one_time;
mod sessions;
mod tokens;
mod user_list;
mod users;

pub(crate) use api_keys::ApiKeyRows;
pub(crate) use clients::ClientRows;
pub(crate) use codes::CodeRows;
pub(crate) use former_emails::FormerEmailRows;
pub(crate) use keys::KeyRows;
pub(crate) use one_time::OneTimeRows;
pub(crate) use sessions::SessionRows;
pub(crate) use users::UserRows;

use std::fmt;

use stanchion::sql::SqlError;

/// A stored value that the domain does not know any more.
fn unreadable(error: impl fmt::Display) -> SqlError {
    SqlError::Decode(error.to_string())
}

#[cfg(test)]
mod tests;
