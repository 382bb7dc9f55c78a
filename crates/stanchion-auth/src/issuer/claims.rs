//! What a foreign token says, and whom it makes its bearer.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Issuer;
use crate::encoding::json_object;
use crate::permission::Permissions;
use crate::principal::{Principal, Subject};
use crate::token::claims::{lifetime, text};
use crate::token::jws::{Jws, Refusal};

/// The longest `sub`, in bytes (OpenID Connect Core 1.0, 2).
const SUBJECT_BYTES_MAX: usize = 255;

/// The namespace of the ids of foreign users: UUIDv5 of this and `iss`, a line feed, `sub`.
const FOREIGN_USERS: Uuid = Uuid::from_u128(0x3f1c_8a56_6d0e_5c41_9a52_71c0_be0d_f6a4);

/// What a verified token of another issuer says.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignClaims {
    /// Who issued it, `iss`.
    pub issuer: String,
    /// Whom it is for, in the issuer's own words, `sub`.
    pub subject: String,
    /// When it was issued, `iat`.
    pub issued_at: Timestamp,
    /// When it ends, `exp`.
    pub expires_at: Timestamp,
    /// The words of `scope`, or of `scp`, which some write instead.
    pub scope: Vec<String>,
    /// All that it says, these included; types are for you to check.
    pub all: Map<String, Value>,
}

/// The id that a foreign user has here: the same for the same issuer and subject, another for every other, and none that
/// an account of ours can have (it is a UUIDv5).
#[must_use]
pub fn user_of(issuer: &str, subject: &str) -> Uuid {
    Uuid::new_v5(&FOREIGN_USERS, format!("{issuer}\n{subject}").as_bytes())
}

/// The claims of a token whose signature holds, checked one by one with their types.
pub(super) fn read(issuer: &Issuer, jws: &Jws, now: Timestamp) -> Result<ForeignClaims, Refusal> {
    let typ = jws.typ.as_deref().unwrap_or_default();
    if !issuer.types.iter().any(|known| known == typ) {
        return Err(Refusal::Type);
    }
    let all = json_object(&jws.payload).ok_or(Refusal::Claim("(all)"))?;
    if text(&all, "iss")? != issuer.iss {
        return Err(Refusal::Issuer);
    }
    if !is_for(issuer, all.get("aud"))? {
        return Err(Refusal::Audience);
    }
    let (issued_at, expires_at) = lifetime(&all, now, issuer.leeway)?;
    let subject = text(&all, "sub")?;
    if !(1..=SUBJECT_BYTES_MAX).contains(&subject.len()) {
        return Err(Refusal::Claim("sub"));
    }
    Ok(ForeignClaims {
        issuer: issuer.iss.clone(),
        subject: subject.to_owned(),
        issued_at,
        expires_at,
        scope: scope(&all)?,
        all,
    })
}

/// The caller that these claims stand for, with no more than the issuer may give.
///
/// Always a user, also for a client of the issuer's: no other issuer makes somebody one of our services.
pub(super) fn principal(issuer: &Issuer, claims: &ForeignClaims) -> Principal {
    let named = match &issuer.grants {
        Some(rule) => rule(claims).iter().map(str::to_owned).collect(),
        None => claims.scope.clone(),
    };
    let held: BTreeSet<_> = named
        .into_iter()
        .filter(|name| issuer.most.allows(name))
        .collect();
    Principal {
        subject: Subject::User(user_of(&claims.issuer, &claims.subject)),
        roles: BTreeSet::new(),
        bound_by: BTreeSet::new(),
        permissions: Permissions::new(held).unwrap_or_default(),
        session: None,
        on_behalf_of: None,
        expires_at: Some(claims.expires_at),
    }
}

/// Whether it is for us: alone, unless the issuer's tokens may be for others too.
fn is_for(issuer: &Issuer, audience: Option<&Value>) -> Result<bool, Refusal> {
    let ours = |one: &Value| *one == issuer.audience.as_str();
    match audience {
        Some(one @ Value::String(_)) => Ok(ours(one)),
        Some(Value::Array(several)) if several.iter().all(Value::is_string) => {
            Ok(several.iter().any(ours) && (issuer.among_others || several.len() == 1))
        }
        _ => Err(Refusal::Claim("aud")),
    }
}

fn scope(all: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    let words = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect();
    match all.get("scope").or_else(|| all.get("scp")) {
        None => Ok(Vec::new()),
        Some(Value::String(scope)) => Ok(words(scope)),
        Some(Value::Array(several)) => several
            .iter()
            .map(|word| word.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or(Refusal::Claim("scope")),
        Some(_) => Err(Refusal::Claim("scope")),
    }
}
