//! Pure rules: what a user, a session and their parts may be. No input or output.

pub(crate) mod client;
pub(crate) mod code;
pub(crate) mod email;
pub(crate) mod event;
pub(crate) mod name;
pub(crate) mod password;
pub(crate) mod role;
pub(crate) mod scope;
pub(crate) mod session;
pub(crate) mod user;
pub(crate) mod username;

pub(crate) use client::{ClientId, ClientPlan, Flow, RegisteredClient};
pub(crate) use code::{ClientGrant, Code};
pub(crate) use email::Email;
pub(crate) use event::{Event, SessionEnd};
pub(crate) use name::Name;
pub(crate) use password::PasswordHash;
pub(crate) use role::{Role, RoleSet};
pub(crate) use session::{Client, Session, SessionId};
pub(crate) use user::{Profile, Status, User};
pub(crate) use username::Username;

use unicode_normalization::UnicodeNormalization;

/// A text without the differences that people do not see: trimmed, compatible forms alike, in lower case.
pub(crate) fn folded(text: &str) -> String {
    let lower = text.trim().nfkc().flat_map(char::to_lowercase);
    lower.nfkc().collect()
}

/// A text that breaks a rule, with the reason for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) &'static str);
