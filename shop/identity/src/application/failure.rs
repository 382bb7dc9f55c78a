use stanchion::auth::PasswordError;
use stanchion::auth::key::{KeyError, OpenError, RingError};
use stanchion::auth::token::IssueError;
use stanchion::eventsourcing::AppendError;
use stanchion::sql::{SqlError, WorkError};

/// Why a use case did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The rules forbid it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// More passwords are being hashed than the machine can bear.
    #[error("too many passwords are being hashed")]
    Busy,
    /// No mailer is configured.
    #[error("no mails are sent here")]
    NoMail,
    /// It was tried too often.
    #[error("it was tried too often")]
    Limited {
        /// By which limit, and when it may be tried again.
        refusal: stanchion::resilience::Refusal,
        /// What that limit allows.
        quota: stanchion::resilience::rate::RateSettings,
    },
    /// The store is out, or the outcome of a write is unknown.
    #[error(transparent)]
    Store(#[from] SqlError),
    /// Something that cannot happen in a working process.
    #[error("{0}")]
    Broken(String),
}

/// What the rules of identity forbid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is no such user")]
    UserNotFound,
    #[error("there is no such session")]
    SessionNotFound,
    #[error("there is no such client, or not with a secret")]
    ClientNotFound,
    #[error("the e-mail address is taken")]
    EmailTaken,
    #[error("as many addresses of the user are held as may be")]
    TooManyAddresses,
    #[error("the username is taken")]
    UsernameTaken,
    /// Somebody else changed the user since it was read.
    #[error("the user has another version by now")]
    Stale,
    /// Unknown, suspended, deleted, or another password: which of them is not told.
    #[error("the login or the password is wrong")]
    BadCredentials,
    #[error("the refresh token is not valid")]
    BadRefreshToken,
    #[error("the current password is wrong")]
    WrongPassword,
    /// Unknown, used, expired, or for another address: which of them is not told.
    #[error("the token is not valid")]
    BadOneTimeToken,
    #[error("the user was sent enough mails")]
    TooManyMails,
    #[error("the owner has as many API keys as one may have")]
    TooManyApiKeys,
    #[error("there is no such API key")]
    ApiKeyNotFound,
    #[error("the last active administrator must stay one")]
    LastAdmin,
}

/// Why identity cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store is out.
    #[error("identity's store: {0}")]
    Store(#[from] SqlError),
    /// A stored signing key does not open; usually the key-encryption key is another one.
    #[error("a signing key does not open: {0}")]
    Sealed(#[from] OpenError),
    /// What was opened is no key.
    #[error("a stored signing key is damaged: {0}")]
    Damaged(#[from] KeyError),
    /// The stored keys do not make a ring.
    #[error("the stored signing keys do not fit together: {0}")]
    Ring(#[from] RingError),
    /// The configured administrator's password breaks the rules.
    #[error("the administrator's password {0}; set SHOP__IDENTITY__ADMIN_PASSWORD to another one")]
    AdminPassword(&'static str),
    /// Password hashing does not work.
    #[error("the administrator's password could not be hashed: {0}")]
    Hashing(#[from] PasswordError),
    /// The administrator could not be recorded.
    #[error("the first start could not be recorded: {0}")]
    Broken(String),
}

impl From<PasswordError> for Failure {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::HashingBusy => Self::Busy,
            other => Self::Broken(other.to_string()),
        }
    }
}

/// Identity's appends expect nothing of their streams, so the log can only be out.
impl From<WorkError> for Failure {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Store(error) => Self::Store(error),
            WorkError::Log(AppendError::Unknown) => {
                Self::Store(SqlError::InDoubt("the log's append".into()))
            }
            WorkError::Log(AppendError::Unavailable(reason)) => {
                Self::Store(SqlError::Unavailable(reason))
            }
            WorkError::Log(error) => Self::Broken(error.to_string()),
        }
    }
}

impl From<IssueError> for Failure {
    fn from(error: IssueError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<Failure> for StartError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => Self::Store(error),
            Failure::Busy => Self::Hashing(PasswordError::HashingBusy),
            other => Self::Broken(other.to_string()),
        }
    }
}
