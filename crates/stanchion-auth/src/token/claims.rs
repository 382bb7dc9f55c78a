//! The claims of an access token: what it says, and how strictly that is read.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::AccessTokens;
use super::jws::Refusal;
use crate::encoding::json_object;
use crate::permission::Permissions;
use crate::principal::{Principal, Subject, exact_uuid};

/// The most roles in a token.
const ROLES_MAX: usize = 32;

/// The longest role name, in bytes.
const ROLE_BYTES_MAX: usize = 64;

/// Whom a token is for and what it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    subject: Subject,
    session: Option<Uuid>,
    client: Option<Uuid>,
    roles: BTreeSet<String>,
    permissions: Permissions,
}

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The token's id, `jti`.
    pub id: Uuid,
    /// Whom it is for, `sub`.
    pub subject: Subject,
    /// The login session, `sid`: always there for users, never for services.
    pub session: Option<Uuid>,
    /// The OAuth client it was issued to, `client_id`; none for tokens of our own login.
    pub client: Option<Uuid>,
    /// The roles at the time of issue.
    pub roles: BTreeSet<String>,
    /// What it allows, `scope`.
    pub permissions: Permissions,
    /// When it was issued, `iat`.
    pub issued_at: Timestamp,
    /// When it ends, `exp`.
    pub expires_at: Timestamp,
}

impl Grant {
    /// A grant to a user within a login session.
    #[must_use]
    pub fn to_user(
        user: Uuid,
        session: Uuid,
        roles: impl IntoIterator<Item = impl Into<String>>,
        permissions: Permissions,
    ) -> Self {
        Self {
            subject: Subject::User(user),
            session: Some(session),
            client: None,
            roles: roles.into_iter().map(Into::into).collect(),
            permissions,
        }
    }

    /// A grant to an OAuth client that acts for itself.
    #[must_use]
    pub fn to_client(client: Uuid, permissions: Permissions) -> Self {
        Self {
            subject: Subject::Client(client),
            session: None,
            client: Some(client),
            roles: BTreeSet::new(),
            permissions,
        }
    }

    /// The same by way of an OAuth client, which the token names as `client_id` (RFC 9068, 2.2).
    #[must_use]
    pub fn by_client(self, client: Uuid) -> Self {
        Self {
            client: Some(client),
            ..self
        }
    }

    /// A grant to a service of ours.
    ///
    /// # Errors
    /// [`SubjectMalformed`](crate::principal::SubjectMalformed) unless the name is 1 to 64 of `[a-z0-9-]`.
    pub fn to_service(
        name: &str,
        permissions: Permissions,
    ) -> Result<Self, crate::principal::SubjectMalformed> {
        Ok(Self {
            subject: Subject::service(name)?,
            session: None,
            client: None,
            roles: BTreeSet::new(),
            permissions,
        })
    }
}

impl Claims {
    /// The caller that this token stands for.
    #[must_use]
    pub fn into_principal(self) -> Principal {
        Principal {
            subject: self.subject,
            roles: self.roles,
            bound_by: BTreeSet::new(),
            permissions: self.permissions,
            session: self.session,
            on_behalf_of: None,
            expires_at: Some(self.expires_at),
        }
    }
}

/// The payload's members in the order they are written.
#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    exp: i64,
    iat: i64,
    jti: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<Uuid>,
    scope: String,
    roles: &'a BTreeSet<String>,
}

/// The payload for a grant; `None` for one that `read` would refuse.
pub(super) fn write(
    tokens: &AccessTokens,
    grant: &Grant,
    id: Uuid,
    now: Timestamp,
) -> Option<Vec<u8>> {
    let names_fit = grant.roles.iter().all(|role| is_role(role));
    if !names_fit || grant.roles.len() > ROLES_MAX {
        return None;
    }
    let issued_at = now.as_second();
    serde_json::to_vec(&Payload {
        iss: &tokens.issuer,
        aud: &tokens.audience,
        sub: grant.subject.to_string(),
        exp: issued_at.saturating_add(tokens.ttl.as_secs()),
        iat: issued_at,
        jti: id,
        sid: grant.session,
        client_id: grant.client,
        scope: grant.permissions.to_string(),
        roles: &grant.roles,
    })
    .ok()
}

/// The claims in a payload whose signature holds, checked one by one with their types.
pub(super) fn read(
    tokens: &AccessTokens,
    payload: &[u8],
    now: Timestamp,
) -> Result<Claims, Refusal> {
    let payload = json_object(payload).ok_or(Refusal::Claim("(all)"))?;
    if text(&payload, "iss")? != tokens.issuer {
        return Err(Refusal::Issuer);
    }
    if !is_for(&payload, &tokens.audience)? {
        return Err(Refusal::Audience);
    }
    let (issued_at, expires_at) = lifetime(&payload, now, tokens.leeway)?;
    let subject = parsed(&payload, "sub", |text| text.parse::<Subject>().ok())?;
    Ok(Claims {
        id: parsed(&payload, "jti", exact_uuid)?,
        session: session(&payload, &subject)?,
        client: client(&payload, &subject)?,
        subject,
        roles: roles(&payload)?,
        permissions: parsed(&payload, "scope", |scope| Permissions::parse(scope).ok())?,
        issued_at,
        expires_at,
    })
}

/// `iat` and `exp`; valid while `iat - leeway <= now < exp + leeway`, and not before `nbf - leeway`.
pub(crate) fn lifetime(
    payload: &Map<String, Value>,
    now: Timestamp,
    leeway: SignedDuration,
) -> Result<(Timestamp, Timestamp), Refusal> {
    let issued_at = time(payload, "iat")?;
    let expires_at = time(payload, "exp")?;
    if expires_at <= issued_at {
        return Err(Refusal::Claim("exp"));
    }
    let (now, leeway) = (now.as_second(), leeway.as_secs());
    if now - leeway >= expires_at.as_second() {
        return Err(Refusal::Expired);
    }
    let starts_at = match payload.get("nbf") {
        None => issued_at,
        Some(_) => issued_at.max(time(payload, "nbf")?),
    };
    if now + leeway < starts_at.as_second() {
        return Err(Refusal::NotYet);
    }
    Ok((issued_at, expires_at))
}

/// A user's token names its session; a service has none.
fn session(payload: &Map<String, Value>, subject: &Subject) -> Result<Option<Uuid>, Refusal> {
    match (subject, payload.get("sid")) {
        (Subject::User(_), _) => parsed(payload, "sid", exact_uuid).map(Some),
        (Subject::Service(_) | Subject::Client(_), None) => Ok(None),
        (Subject::Service(_) | Subject::Client(_), Some(_)) => Err(Refusal::Claim("sid")),
    }
}

/// A client's own token names that client; a user's names the one it was issued by, if one was.
fn client(payload: &Map<String, Value>, subject: &Subject) -> Result<Option<Uuid>, Refusal> {
    let named = match payload.get("client_id") {
        None => None,
        Some(_) => Some(parsed(payload, "client_id", exact_uuid)?),
    };
    match subject {
        Subject::Client(own) if named != Some(*own) => Err(Refusal::Claim("client_id")),
        _ => Ok(named),
    }
}

/// Whether `aud` is ours alone: our name, or an array of just that.
fn is_for(payload: &Map<String, Value>, audience: &str) -> Result<bool, Refusal> {
    match payload.get("aud") {
        Some(Value::String(one)) => Ok(one == audience),
        Some(Value::Array(several)) => Ok(*several == [audience]),
        _ => Err(Refusal::Claim("aud")),
    }
}

fn roles(payload: &Map<String, Value>) -> Result<BTreeSet<String>, Refusal> {
    let refusal = Refusal::Claim("roles");
    let roles = payload
        .get("roles")
        .and_then(Value::as_array)
        .ok_or(refusal)?;
    if roles.len() > ROLES_MAX {
        return Err(refusal);
    }
    roles
        .iter()
        .map(|role| {
            role.as_str()
                .filter(|role| is_role(role))
                .map(str::to_owned)
        })
        .collect::<Option<_>>()
        .ok_or(refusal)
}

fn is_role(role: &str) -> bool {
    (1..=ROLE_BYTES_MAX).contains(&role.len())
}

/// Whole seconds since 1970 within what a calendar can hold; floats, strings and negatives are none.
fn time(payload: &Map<String, Value>, name: &'static str) -> Result<Timestamp, Refusal> {
    payload
        .get(name)
        .and_then(Value::as_i64)
        .filter(|seconds| *seconds >= 0)
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .ok_or(Refusal::Claim(name))
}

fn parsed<T>(
    payload: &Map<String, Value>,
    name: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Refusal> {
    parse(text(payload, name)?).ok_or(Refusal::Claim(name))
}

pub(crate) fn text<'a>(
    payload: &'a Map<String, Value>,
    name: &'static str,
) -> Result<&'a str, Refusal> {
    payload
        .get(name)
        .and_then(Value::as_str)
        .ok_or(Refusal::Claim(name))
}
