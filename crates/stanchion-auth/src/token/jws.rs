//! JSON Web Signatures in compact form (RFC 7515), in the strictest reading.
//!
//! Three parts of base64url without padding, whitespace or spare bits; a header without repeated members; exact
//! `kid`; the `alg` of that key and no other. `crit`, and headers that bring or point to keys, are refused.

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{IssueError, TOKEN_BYTES_MAX, TYPE};
use crate::encoding::{from_base64url, json_object, to_base64url};
use crate::key::{KeyRing, SigningKey};

/// Header members that change what is verified or where the key comes from.
const REFUSED_MEMBERS: [&str; 7] = ["crit", "jwk", "jku", "x5u", "x5c", "b64", "zip"];

/// Other names of the key. Ours never have them; issuers that write them beside the `kid` are found by the `kid` alone.
const THUMBPRINTS: [&str; 2] = ["x5t", "x5t#S256"];

/// What a verified signature covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jws {
    /// The `typ` header.
    pub typ: Option<String>,
    /// The payload, decoded.
    pub payload: Vec<u8>,
}

/// Why a token is refused; for logs and tests, never for a client. It quotes nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than 8 KiB.
    #[error("longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// Not three parts of strict base64url.
    #[error("not three parts of unpadded base64url")]
    Shape,
    /// The header is no JSON object, repeats a member, or lacks `alg` or `kid`.
    #[error("the header is malformed")]
    Header,
    /// The header has `crit`, a key, or a place to fetch one from.
    #[error("the header has `{0}`")]
    Member(&'static str),
    /// No key of the ring has that `kid`.
    #[error("no key has its kid")]
    UnknownKey,
    /// Another algorithm than the key's, `none` included.
    #[error("its alg is not the one of its key")]
    Algorithm,
    /// The signature is not one of that key.
    #[error("the signature is wrong")]
    Signature,
    /// Another kind of token.
    #[error("its typ is not that of an access token")]
    Type,
    /// A claim is missing, of the wrong type, malformed, or repeated.
    #[error("the claim `{0}` is missing or malformed")]
    Claim(&'static str),
    /// Somebody else's token.
    #[error("it is of another issuer")]
    Issuer,
    /// A token for somebody else.
    #[error("it is for another audience")]
    Audience,
    /// Past `exp` and the leeway.
    #[error("it has expired")]
    Expired,
    /// Before `iat` or `nbf` and the leeway.
    #[error("it is not valid yet")]
    NotYet,
}

/// A compact JWS taken apart, its signature not checked yet: what it says may at most decide where a key is looked for.
#[derive(Debug)]
pub(crate) struct Unverified<'t> {
    signed: &'t str,
    header: Map<String, Value>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// Verifies a compact JWS with the keys of `ring`.
///
/// # Errors
/// [`Refusal`]. Nothing of the payload is looked at before the signature holds.
pub fn verify(text: &str, ring: &KeyRing) -> Result<Jws, Refusal> {
    let unverified = Unverified::parse(text)?;
    refuse(&unverified.header, &THUMBPRINTS)?;
    unverified.verify(ring)
}

impl<'t> Unverified<'t> {
    pub(crate) fn parse(text: &'t str) -> Result<Self, Refusal> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::Shape)?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::Shape)?;
        let header = json_object(&decoded(header)?).ok_or(Refusal::Header)?;
        // A second dot in the payload is no base64url, so five parts (a JWE) end here too.
        let payload = decoded(payload)?;
        let signature = decoded(signature)?;
        refuse(&header, &REFUSED_MEMBERS)?;
        Ok(Self {
            signed,
            header,
            payload,
            signature,
        })
    }

    /// The key that it names.
    pub(crate) fn kid(&self) -> Result<&str, Refusal> {
        text_of(&self.header, "kid")
    }

    /// The issuer that it claims to be of.
    pub(crate) fn issuer(&self) -> Option<String> {
        let payload = json_object(&self.payload)?;
        payload
            .get("iss")
            .and_then(Value::as_str)
            .map(str::to_owned)
    }

    pub(crate) fn verify(self, ring: &KeyRing) -> Result<Jws, Refusal> {
        let typ = optional_text(&self.header, "typ")?;
        let (kid, alg) = (self.kid()?, text_of(&self.header, "alg")?);
        let key = ring.verifying(kid).ok_or(Refusal::UnknownKey)?;
        if alg != key.algorithm().name() {
            return Err(Refusal::Algorithm);
        }
        if !key.verify(self.signed.as_bytes(), &self.signature) {
            return Err(Refusal::Signature);
        }
        let payload = self.payload;
        Ok(Jws { typ, payload })
    }
}

/// A compact JWS of `payload` by `key`.
pub(crate) fn sign(typ: &str, payload: &[u8], key: &SigningKey) -> String {
    let alg = key.verifying_key().algorithm().name();
    let header = json!({"alg": alg, "typ": typ, "kid": key.kid()}).to_string();
    let signed = format!("{}.{}", to_base64url(header), to_base64url(payload));
    let signature = to_base64url(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// A JWT of other people's claims, which is no access token.
pub(crate) fn sign_claims(
    typ: &str,
    claims: &Map<String, Value>,
    key: &SigningKey,
) -> Result<SecretString, IssueError> {
    // Media types have no case, and `application/` may be left out (RFC 7515, 4.1.9).
    let bare = typ.to_ascii_lowercase();
    if bare.strip_prefix("application/").unwrap_or(&bare) == TYPE {
        return Err(IssueError::AccessToken);
    }
    let payload = serde_json::to_vec(claims).map_err(|_| IssueError::TooLarge)?;
    let token = sign(typ, &payload, key);
    if token.len() > TOKEN_BYTES_MAX {
        return Err(IssueError::TooLarge);
    }
    Ok(SecretString::from(token))
}

fn refuse(header: &Map<String, Value>, members: &[&'static str]) -> Result<(), Refusal> {
    let found = members.iter().find(|name| header.contains_key(**name));
    found.map_or(Ok(()), |name| Err(Refusal::Member(name)))
}

fn decoded(part: &str) -> Result<Vec<u8>, Refusal> {
    from_base64url(part).ok_or(Refusal::Shape)
}

fn text_of<'a>(header: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refusal> {
    header
        .get(name)
        .and_then(Value::as_str)
        .ok_or(Refusal::Header)
}

fn optional_text(header: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::Header),
    }
}
