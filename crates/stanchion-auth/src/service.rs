//! Service tokens: by which the processes of one platform know each other.
//!
//! A process signs, with the server secret that all of them share, which service it is, which one it calls and for which
//! user it acts. The token lives a minute and is made for each call: there is nothing to store, to renew or to revoke.
//! No other service takes it than the one it is for (RFC 8725, 3.9), so that none that was called can call on with it. Whoever has the
//! secret can be any service, so it is for processes of one owner; strangers get [access tokens](crate::token).

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::permission::Permissions;
use crate::principal::{Principal, Subject};
use crate::secret::{Purpose, Signer};
use crate::token::{LEEWAY, TokenError};

/// How long a token lives: a call, with its retries.
pub const SERVICE_TOKEN_LIFE: SignedDuration = SignedDuration::from_secs(60);

/// What a token begins with: no JWT does.
const PREFIX: &str = "svc1.";
const PURPOSE: Purpose = Purpose::new("service-token");

/// Issues and verifies service tokens.
///
/// ```
/// # use std::sync::Arc;
/// use stanchion_auth::secret::{self, Signer};
/// use stanchion_auth::{Permissions, Principal, ServiceTokens};
/// use secrecy::ExposeSecret;
///
/// let now = stanchion_runtime::clock::now();
/// let tokens = ServiceTokens::new(Arc::new(Signer::new(&secret::generate())?));
/// let user = stanchion_runtime::id::new_v7();
/// let orders = Principal::service("orders", Permissions::parse("inventory:read")?)?.on_behalf_of(user);
///
/// let token = tokens.issue(&orders, "inventory", now).expect("orders is a service");
/// let caller = tokens.verify(token.expose_secret(), |service| service == "inventory", now)?;
/// assert!(caller.is(user) && caller.allows("inventory:read"));
/// assert!(tokens.verify(token.expose_secret(), |service| service == "payments", now).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ServiceTokens {
    signer: Arc<Signer>,
}

/// What is signed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    sub: String,
    aud: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    obo: Option<Uuid>,
    scope: String,
    iat: i64,
    exp: i64,
}

impl ServiceTokens {
    /// Tokens signed with that server secret.
    #[must_use]
    pub fn new(signer: Arc<Signer>) -> Self {
        Self { signer }
    }

    /// Whether it looks like a token of this kind.
    #[must_use]
    pub fn is_one(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    /// A token by which that service, and the user it acts for, calls `audience`; `None` for a user, who logs in instead.
    #[must_use]
    pub fn issue(
        &self,
        service: &Principal,
        audience: &str,
        now: Timestamp,
    ) -> Option<SecretString> {
        if !service.is_service() {
            return None;
        }
        let said = Said {
            sub: service.subject.to_string(),
            aud: audience.to_owned(),
            obo: service.on_behalf_of,
            scope: service.permissions.to_string(),
            iat: now.as_second(),
            exp: now.as_second().saturating_add(SERVICE_TOKEN_LIFE.as_secs()),
        };
        let said = serde_json::to_vec(&said).ok()?;
        let stamped = self.signer.stamp(PURPOSE, &said);
        Some(SecretString::from(format!("{PREFIX}{stamped}")))
    }

    /// The service that a token stands for, if it is one of ours, for a service that `is_served` here, and lives at `now`,
    /// clocks up to 30 s apart.
    ///
    /// # Errors
    /// [`TokenError::Invalid`], whatever is wrong.
    pub fn verify(
        &self,
        token: &str,
        is_served: impl FnOnce(&str) -> bool,
        now: Timestamp,
    ) -> Result<Principal, TokenError> {
        let read = self.read(token, is_served, now);
        read.ok_or(TokenError::Invalid)
    }

    fn read(
        &self,
        token: &str,
        is_served: impl FnOnce(&str) -> bool,
        now: Timestamp,
    ) -> Option<Principal> {
        let stamped = token.strip_prefix(PREFIX)?;
        let said: Said = serde_json::from_slice(&self.signer.read(PURPOSE, stamped)?).ok()?;
        let (now, leeway) = (now.as_second(), LEEWAY.as_secs());
        let lives = now + leeway >= said.iat && now - leeway < said.exp;
        let subject: Subject = said.sub.parse().ok()?;
        let Subject::Service(name) = &subject else {
            return None;
        };
        let permissions = Permissions::parse(&said.scope).ok()?;
        let principal = Principal::service(name.as_str(), permissions).ok()?;
        let expires_at = Timestamp::from_second(said.exp).ok();
        (lives && is_served(&said.aud)).then_some(Principal {
            on_behalf_of: said.obo,
            expires_at,
            ..principal
        })
    }
}

impl fmt::Debug for ServiceTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceTokens(***)")
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use stanchion_runtime::{clock, id};

    use super::*;
    use crate::secret;

    fn tokens() -> ServiceTokens {
        ServiceTokens::new(Arc::new(Signer::new(&secret::generate()).unwrap()))
    }

    fn is_served(service: &str) -> bool {
        service == "inventory"
    }

    fn orders() -> Principal {
        let permissions = Permissions::parse("inventory:read").unwrap();
        Principal::service("orders", permissions).unwrap()
    }

    #[test]
    fn a_service_is_known_with_the_user_it_acts_for_and_what_it_may() {
        let (tokens, now, user) = (tokens(), clock::now(), id::new_v7());
        for service in [orders(), orders().on_behalf_of(user)] {
            let token = tokens.issue(&service, "inventory", now).unwrap();
            let known = tokens
                .verify(token.expose_secret(), is_served, now)
                .unwrap();
            assert_eq!(
                (&known.subject, known.on_behalf_of),
                (&service.subject, service.on_behalf_of)
            );
            assert!(known.allows("inventory:read") && !known.allows("inventory:write"));
            assert!(ServiceTokens::is_one(token.expose_secret()));
        }
    }

    #[test]
    fn a_token_is_for_one_service_alone() {
        let (tokens, now) = (tokens(), clock::now());
        let token = tokens.issue(&orders(), "inventory", now).unwrap();
        let token = token.expose_secret();
        let at = |served: &[&str]| tokens.verify(token, |service| served.contains(&service), now);
        assert!(at(&["inventory"]).is_ok() && at(&["payments", "inventory"]).is_ok());
        for elsewhere in [&["payments", "orders"][..], &["Inventory"], &[""], &[]] {
            assert!(at(elsewhere).is_err(), "{elsewhere:?}");
        }
        // Nor is one without a name for everybody.
        let said = serde_json::json!({
            "sub": "svc:orders", "scope": "inventory:read", "iat": now.as_second(), "exp": now.as_second() + 60,
        });
        let nameless = tokens.signer.stamp(PURPOSE, said.to_string().as_bytes());
        let nameless = tokens.verify(&format!("{PREFIX}{nameless}"), |_| true, now);
        assert!(nameless.is_err());
    }

    #[test]
    fn a_token_lives_for_a_minute_give_or_take_the_leeway() {
        let (tokens, now) = (tokens(), clock::now());
        let token = tokens.issue(&orders(), "inventory", now).unwrap();
        let at = |seconds| now + SignedDuration::from_secs(seconds);
        for (seconds, lives) in [
            (-31, false),
            (-29, true),
            (60, true),
            (89, true),
            (91, false),
        ] {
            let known = tokens.verify(token.expose_secret(), is_served, at(seconds));
            assert_eq!(known.is_ok(), lives, "{seconds} s");
        }
    }

    #[test]
    fn nobody_else_is_a_service() {
        let (tokens, now) = (tokens(), clock::now());
        let user = Principal::user(id::new_v7(), id::new_v7(), Permissions::none());
        assert!(tokens.issue(&user, "inventory", now).is_none());
        let token = tokens.issue(&orders(), "inventory", now).unwrap();
        let token = token.expose_secret();
        let another_secret = self::tokens();
        assert!(another_secret.verify(token, is_served, now).is_err());
        let mut forged = token.to_owned().into_bytes();
        for index in (PREFIX.len()..forged.len()).step_by(7) {
            let before = forged[index];
            forged[index] = if before == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(forged.clone()).unwrap();
            assert!(
                tokens.verify(&text, is_served, now).is_err(),
                "byte {index}"
            );
            forged[index] = before;
        }
        let cursor = tokens.signer.stamp(Purpose::CURSOR, b"{}");
        for other in ["", "svc1.", "svc1.x", &cursor, &format!("svc1.{cursor}")] {
            assert!(tokens.verify(other, is_served, now).is_err(), "{other}");
        }
    }
}
