use serde::{Deserialize, Serialize};
use shop_kernel::UserId;
use stanchion::auth::key::rotation::Haste;
use stanchion::eventsourcing::StreamId;
use uuid::Uuid;

use super::user::Field;
use super::{ClientId, RoleSet, SessionId, Status};

/// What happened to users and sessions, without personal data: ids, field names, roles, states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub(crate) enum Event {
    UserRegistered {
        user_id: UserId,
        roles: RoleSet,
    },
    UserUpdated {
        user_id: UserId,
        fields: Vec<Field>,
    },
    UserDeleted {
        user_id: UserId,
    },
    RolesChanged {
        user_id: UserId,
        from: RoleSet,
        to: RoleSet,
    },
    StatusChanged {
        user_id: UserId,
        from: Status,
        to: Status,
    },
    PasswordChanged {
        user_id: UserId,
    },
    SessionStarted {
        session_id: SessionId,
        user_id: UserId,
    },
    SessionEnded {
        session_id: SessionId,
        user_id: UserId,
        reason: SessionEnd,
    },
    RefreshReused {
        session_id: SessionId,
        user_id: UserId,
    },
    /// An operator let a program have tokens.
    ClientRegistered {
        client_id: ClientId,
    },
    ClientChanged {
        client_id: ClientId,
        change: ClientChange,
    },
    /// A client gave back a token of its own before its time.
    ClientTokenRevoked {
        client_id: ClientId,
        token_id: Uuid,
    },
    /// A user let a client have these.
    ConsentGiven {
        user_id: UserId,
        client_id: ClientId,
        scopes: String,
    },
    /// An authorization code was used twice.
    CodeReplayed {
        session_id: SessionId,
        client_id: ClientId,
    },
    /// A mail is wanted by which its user can prove the address.
    VerificationAsked {
        user_id: UserId,
    },
    EmailVerified {
        user_id: UserId,
    },
    /// Somebody wants a new password, for an account that there may be.
    ResetAsked {
        request_id: Uuid,
    },
    /// A mail's token was taken for a new password.
    PasswordReset {
        user_id: UserId,
    },
    ApiKeyCreated {
        key_id: Uuid,
        /// A user's id, or `svc:NAME`.
        owner: String,
    },
    ApiKeyRevoked {
        key_id: Uuid,
        owner: String,
    },
    /// The signing keys took steps in their life: every process reads them again.
    SigningKeysTurned {
        because: KeyTurn,
    },
}

/// The category of the stream that tells so.
pub(crate) const SIGNING_KEYS: &str = "keys";

/// Why signing keys were turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyTurn {
    /// It was time.
    Due,
    /// An operator asked for it, with so much haste.
    Ahead,
    Now,
    Leaked,
}

/// What an operator changed about a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientChange {
    Disabled,
    Enabled,
    SecretRotated,
}

/// Why a session ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SessionEnd {
    /// Its user asked for it.
    LoggedOut,
    /// One of its refresh tokens was used twice.
    RefreshReused,
    /// The authorization code that it came from was used twice.
    CodeReplayed,
    /// Its client gave its token back.
    Revoked,
    /// The user chose another password.
    PasswordChanged,
    /// The user forgot the password and has another one now.
    PasswordReset,
    UserSuspended,
    UserDeleted,
    /// The user has as many sessions as one may have.
    TooMany,
}

impl SessionEnd {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LoggedOut => "logged_out",
            Self::RefreshReused => "refresh_reused",
            Self::CodeReplayed => "code_replayed",
            Self::Revoked => "revoked",
            Self::PasswordChanged => "password_changed",
            Self::PasswordReset => "password_reset",
            Self::UserSuspended => "user_suspended",
            Self::UserDeleted => "user_deleted",
            Self::TooMany => "too_many",
        }
    }
}

impl From<Haste> for KeyTurn {
    fn from(haste: Haste) -> Self {
        match haste {
            Haste::Ahead => Self::Ahead,
            Haste::Now => Self::Now,
            Haste::Leaked => Self::Leaked,
        }
    }
}

impl Event {
    /// A stream a user and a stream a session, so that logins do not make a user's stream long.
    pub(crate) fn stream(&self) -> StreamId {
        match self {
            Self::UserRegistered { user_id, .. }
            | Self::UserUpdated { user_id, .. }
            | Self::UserDeleted { user_id }
            | Self::RolesChanged { user_id, .. }
            | Self::StatusChanged { user_id, .. }
            | Self::PasswordChanged { user_id }
            | Self::VerificationAsked { user_id }
            | Self::EmailVerified { user_id }
            | Self::PasswordReset { user_id } => StreamId::new("user", user_id.to_string()),
            Self::ConsentGiven { user_id, .. } => StreamId::new("user", user_id.to_string()),
            Self::ClientRegistered { client_id }
            | Self::ClientChanged { client_id, .. }
            | Self::ClientTokenRevoked { client_id, .. } => {
                StreamId::new("client", client_id.to_string())
            }
            Self::ResetAsked { request_id } => StreamId::new("reset", request_id.to_string()),
            Self::ApiKeyCreated { key_id, .. } | Self::ApiKeyRevoked { key_id, .. } => {
                StreamId::new("apikey", key_id.to_string())
            }
            Self::SigningKeysTurned { .. } => StreamId::new(SIGNING_KEYS, "signing"),
            Self::SessionStarted { session_id, .. }
            | Self::SessionEnded { session_id, .. }
            | Self::CodeReplayed { session_id, .. }
            | Self::RefreshReused { session_id, .. } => {
                StreamId::new("session", session_id.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shop_kernel::UserId;
    use stanchion::eventsourcing::NewEvent;
    use uuid::Uuid;

    use super::*;
    use crate::domain::Role;

    #[test]
    fn an_event_is_a_kind_and_ids() {
        let user_id = UserId(Uuid::nil());
        let roles = RoleSet::of(Role::Customer);
        let event = NewEvent::of(&Event::UserRegistered { user_id, roles }).unwrap();
        assert_eq!(event.kind, "user_registered");
        assert_eq!(
            event.data,
            json!({"user_id": Uuid::nil(), "roles": ["customer"]})
        );
    }
}
