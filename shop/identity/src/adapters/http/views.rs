use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use shop_kernel::UserId;
use stanchion::server::{Problem, ToSchema, Validate, Violations};

use crate::application::Tokens;
use crate::domain::{Name, Profile, Role, Session, SessionId, Status, User};

/// A user.
///
/// The entity tag covers everything but `last_login_at`: a login is no new version.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    pub(crate) id: UserId,
    #[schema(format = Email, max_length = 255)]
    pub(crate) email: String,
    #[schema(min_length = 3, max_length = 30, pattern = "^[a-z0-9]*$")]
    pub(crate) username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100, nullable = false)]
    pub(crate) first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100, nullable = false)]
    pub(crate) last_name: Option<String>,
    pub(crate) status: Status,
    pub(crate) roles: Vec<Role>,
    /// One more with each change.
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) last_login_at: Option<Timestamp>,
}

/// What users say of themselves.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileBody {
    /// Unique, whatever the case of its letters.
    #[schema(format = Email, max_length = 255, example = "ada@example.com")]
    pub(super) email: String,
    /// Unique and kept in lower case.
    #[schema(
        min_length = 3,
        max_length = 30,
        pattern = "^[A-Za-z0-9]*$",
        example = "ada"
    )]
    pub(super) username: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 100)]
    pub(super) first_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 100)]
    pub(super) last_name: Option<String>,
}

/// What a login or a refresh hands out.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(super) struct TokensView {
    /// A JWT for `Authorization: Bearer …`.
    access_token: String,
    /// Good for one `POST /auth/refresh`.
    refresh_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds until the access token ends.
    #[schema(example = 900)]
    expires_in: i64,
}

/// A login on one device.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionView {
    id: SessionId,
    /// What the user or the client called it (`device` of the login, or `User-Agent`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    device: Option<String>,
    /// The network address it logged in from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    address: Option<String>,
    created_at: Timestamp,
    last_used_at: Timestamp,
    /// When it ends, however often it is used.
    expires_at: Timestamp,
    /// Whether it is the one of this request.
    current: bool,
}

impl ProfileBody {
    /// The profile this spells, or `None` after its broken rules were added.
    pub(super) fn read(&self, violations: &mut Violations) -> Option<Profile> {
        let email = noted(violations, "email", self.email.parse());
        let username = noted(violations, "username", self.username.parse());
        let first_name = name(violations, "first_name", self.first_name.as_deref());
        let last_name = name(violations, "last_name", self.last_name.as_deref());
        Some(Profile {
            email: email?,
            username: username?,
            first_name: first_name?,
            last_name: last_name?,
        })
    }

    pub(crate) fn profile(&self) -> Result<Profile, Problem> {
        let mut violations = Violations::default();
        let profile = self.read(&mut violations);
        profile.ok_or_else(|| Problem::validation(violations))
    }
}

impl Validate for ProfileBody {
    fn validate(&self, violations: &mut Violations) {
        self.read(violations);
    }
}

impl From<&Profile> for ProfileBody {
    fn from(profile: &Profile) -> Self {
        let text = |name: &Option<Name>| name.as_ref().map(|name| name.as_str().to_owned());
        Self {
            email: profile.email.as_str().to_owned(),
            username: profile.username.as_str().to_owned(),
            first_name: text(&profile.first_name),
            last_name: text(&profile.last_name),
        }
    }
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        let profile = ProfileBody::from(&user.profile);
        Self {
            id: user.id,
            email: profile.email,
            username: profile.username,
            first_name: profile.first_name,
            last_name: profile.last_name,
            status: user.status,
            roles: user.roles.iter().collect(),
            version: user.version,
            created_at: user.created_at,
            updated_at: user.updated_at,
            last_login_at: user.last_login_at,
        }
    }
}

impl From<Tokens> for TokensView {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access.expose_secret().to_owned(),
            refresh_token: tokens.refresh.expose().to_owned(),
            token_type: "Bearer",
            expires_in: tokens.expires_in.as_secs(),
        }
    }
}

impl SessionView {
    pub(super) fn of(session: &Session, current: SessionId) -> Self {
        Self {
            id: session.id,
            device: session.client.device().map(str::to_owned),
            address: session.client.address().map(str::to_owned),
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
            current: session.id == current,
        }
    }
}

/// The value, or `None` after the reason was added.
pub(super) fn noted<T>(
    violations: &mut Violations,
    field: &str,
    read: Result<T, crate::domain::Refused>,
) -> Option<T> {
    read.map_err(|refused| violations.add(field, refused.0))
        .ok()
}

fn name(violations: &mut Violations, field: &str, text: Option<&str>) -> Option<Option<Name>> {
    let read = text.map(str::parse).transpose();
    noted(violations, field, read)
}
