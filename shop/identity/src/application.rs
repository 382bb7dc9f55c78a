//! What identity does, a file a use case.

mod answers;
pub(crate) mod api_keys;
mod ask_reset;
mod attempts;
mod authenticate;
mod bear_key;
mod bootstrap;
mod change_password;
mod change_roles;
mod change_status;
mod counts;
mod delete_user;
mod failure;
mod forget_user;
pub(crate) mod former_email;
mod hear;
mod keys;
mod live;
mod log_in;
mod log_out;
mod mail;
pub(crate) mod oauth;
pub(crate) mod one_time;
pub(crate) mod ports;
mod prune;
mod refresh;
mod register;
#[cfg(test)]
mod registry;
mod reset_password;
mod update_profile;
mod users;
mod uses;
mod verify_email;
mod work;

use std::sync::Arc;

use jiff::SignedDuration;
use secrecy::SecretString;
use stanchion::auth::key::{KeyEncryptionKey, SigningAlgorithm};
use stanchion::auth::refresh::{Lifetimes, Overlap, RefreshToken};
use stanchion::auth::{AccessTokens, Passwords};
use stanchion::eventsourcing::{LogId, Position};
use stanchion::sql::Db;

pub(crate) use answers::Answers;
pub(crate) use api_keys::{ApiKeyRepository, LiveKeys, live_keys};
pub(crate) use attempts::{Account, KNOWN_FOR};
pub use attempts::{AttemptSettings, Attempts, Counting, Shared};
pub(crate) use authenticate::narrowed;
pub(crate) use bear_key::bearer;
pub use bootstrap::Bootstrapped;
pub(crate) use bootstrap::first_start;
pub(crate) use counts::{Remembered, SessionCounts};
pub use failure::StartError;
pub(crate) use failure::{Failure, Refusal};
pub(crate) use former_email::FormerEmailRepository;
pub(crate) use live::LiveSessions;
pub(crate) use log_in::Login;
pub use mail::MailPages;
pub(crate) use mail::{MailKind, MailWanted, Post};
pub(crate) use oauth::OAuth;
pub(crate) use one_time::OneTimeRepository;
pub(crate) use ports::{KeyRepository, SessionRepository, UserRepository};
pub(crate) use register::Registration;
pub(crate) use uses::Uses;
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
    pub(crate) overlap: Overlap,
    /// So long a late reuse of an ended session's tokens is still told from a random one.
    pub(crate) ended_sessions_kept: SignedDuration,
    pub(crate) sealing: Arc<KeyEncryptionKey>,
    pub(crate) signing_algorithm: SigningAlgorithm,
    /// When a token that names an unknown key last made us read the store.
    pub(crate) keys_reread: tokio::sync::Mutex<Option<tokio::time::Instant>>,
    /// Held by whoever reads them.
    pub(crate) keys_reading: tokio::sync::Mutex<()>,
    pub(crate) live: LiveSessions,
    pub(crate) oauth: OAuth,
    pub(crate) uses: Uses,
    pub(crate) counts: SessionCounts,
    pub(crate) one_time: Arc<dyn OneTimeRepository>,
    pub(crate) former_emails: Arc<dyn FormerEmailRepository>,
    pub(crate) api_keys: Arc<dyn ApiKeyRepository>,
    pub(crate) live_keys: LiveKeys,
    /// How mails leave, if they do.
    pub(crate) post: Option<Post>,
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
    /// After a login, what its device is known by from now on, unless it is by what it has shown.
    pub(crate) device: Option<String>,
}

impl<T> Written<T> {
    fn unchanged(value: T) -> Self {
        Self {
            value,
            position: None,
        }
    }
}
