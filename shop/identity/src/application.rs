//! What identity does, a file a use case.

mod attempts;
mod authenticate;
mod bootstrap;
mod change_password;
mod change_roles;
mod change_status;
mod delete_user;
mod failure;
mod forget_user;
mod keys;
mod live;
mod log_in;
mod log_out;
pub(crate) mod ports;
mod prune;
mod refresh;
mod register;
mod update_profile;
mod users;
mod work;

use std::sync::Arc;

use jiff::SignedDuration;
use secrecy::SecretString;
use stanchion::auth::key::KeyEncryptionKey;
use stanchion::auth::refresh::{Lifetimes, RefreshToken};
use stanchion::auth::{AccessTokens, Passwords};
use stanchion::eventsourcing::{LogId, Position};
use stanchion::sql::Db;

pub use attempts::{AttemptSettings, Attempts, Counting, Shared};
pub(crate) use authenticate::narrowed;
pub use bootstrap::Bootstrapped;
pub(crate) use bootstrap::first_start;
pub use failure::StartError;
pub(crate) use failure::{Failure, Refusal};
pub(crate) use live::LiveSessions;
pub(crate) use log_in::Login;
pub(crate) use ports::{KeyRepository, SessionRepository, UserRepository};
pub(crate) use register::Registration;
use work::{Work, retried};

/// Users, sessions and keys: everything the use cases need. Made once, shared by module and authenticator.
pub struct Identity {
    pub(crate) db: Db,
    /// The log in the same store.
    pub(crate) log: LogId,
    pub(crate) users: Arc<dyn UserRepository>,
    pub(crate) sessions: Arc<dyn SessionRepository>,
    pub(crate) keys: Arc<dyn KeyRepository>,
    pub(crate) passwords: Passwords,
    pub(crate) tokens: Arc<AccessTokens>,
    pub(crate) lifetimes: Lifetimes,
    /// So long a late reuse of an ended session's tokens is still told from a random one.
    pub(crate) ended_sessions_kept: SignedDuration,
    pub(crate) sealing: Arc<KeyEncryptionKey>,
    pub(crate) live: LiveSessions,
    pub(crate) attempts: Attempts,
}

/// What a write gave, and where in the log its events end.
#[derive(Clone, Debug)]
pub(crate) struct Written<T> {
    pub(crate) value: T,
    /// `None` if nothing had to be written.
    pub(crate) position: Option<Position>,
}

/// What a login or a refresh hands out.
pub(crate) struct Tokens {
    pub(crate) access: SecretString,
    pub(crate) refresh: RefreshToken,
    pub(crate) expires_in: SignedDuration,
}

impl<T> Written<T> {
    fn unchanged(value: T) -> Self {
        Self {
            value,
            position: None,
        }
    }
}
