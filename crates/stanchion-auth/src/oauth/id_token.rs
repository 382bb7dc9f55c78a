use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use uuid::Uuid;

use crate::key::KeyRing;
use crate::token::{IssueError, jws};

/// The `typ` of an ID token: never that of an access token, so that neither passes for the other.
const TYPE: &str = "JWT";

/// What an ID token says (OpenID Connect Core, 2): who logged in, when, and for which client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdClaims<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `sub`: the user.
    pub subject: Uuid,
    /// `aud`: the client, and nobody else.
    pub client: Uuid,
    /// `sid`: the login session.
    pub session: Uuid,
    /// `nonce`, as the client sent it.
    pub nonce: Option<&'a str>,
    /// `auth_time`: when the user proved who it is.
    pub authenticated_at: Timestamp,
    /// `iat`.
    pub issued_at: Timestamp,
    /// `exp`.
    pub expires_at: Timestamp,
}

#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    sub: Uuid,
    aud: Uuid,
    exp: i64,
    iat: i64,
    auth_time: i64,
    sid: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl IdClaims<'_> {
    /// The token, signed by the ring's signing key.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn sign(&self, ring: &KeyRing) -> Result<SecretString, IssueError> {
        let key = ring.signing().ok_or(IssueError::NoSigningKey)?;
        let payload = serde_json::to_vec(&Payload {
            iss: self.issuer,
            sub: self.subject,
            aud: self.client,
            exp: self.expires_at.as_second(),
            iat: self.issued_at.as_second(),
            auth_time: self.authenticated_at.as_second(),
            sid: self.session,
            nonce: self.nonce,
        });
        let payload = payload.map_err(|_| IssueError::TooLarge)?;
        Ok(SecretString::from(jws::sign(TYPE, &payload, key)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;
    use secrecy::ExposeSecret;
    use stanchion_runtime::{clock, id};

    use super::*;
    use crate::AccessTokens;
    use crate::key::SigningKey;

    #[test]
    fn an_id_token_never_passes_as_an_access_token() {
        let now = clock::now();
        let ring = Arc::new(KeyRing::of(SigningKey::generate(), now));
        let client = id::new_v7();
        let claims = IdClaims {
            issuer: "https://shop.example",
            subject: id::new_v7(),
            client,
            session: id::new_v7(),
            nonce: Some("n-1"),
            authenticated_at: now,
            issued_at: now,
            expires_at: now + SignedDuration::from_mins(5),
        };
        let token = claims.sign(&ring).unwrap();
        let signed = jws::verify(token.expose_secret(), &ring).unwrap();
        let said: serde_json::Value = serde_json::from_slice(&signed.payload).unwrap();
        assert_eq!(
            (&said["nonce"], &said["aud"]),
            (&"n-1".into(), &client.to_string().into())
        );
        let tokens = AccessTokens::new("https://shop.example", client.to_string(), ring);
        assert!(tokens.verify(token.expose_secret(), now).is_err());
    }
}
