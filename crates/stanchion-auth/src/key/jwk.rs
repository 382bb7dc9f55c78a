//! JSON Web Keys (RFC 7517) as we publish and read them.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::KeyError;
use super::algorithm::Algorithms;
use super::verifying::VerifyingKey;
use crate::encoding::{json_object, to_base64url};

/// The most keys that a set may have.
const KEYS_MAX: usize = 64;

/// The largest JWK set that is read, in bytes.
const JWKS_BYTES_MAX: usize = 256 * 1024;

/// A public key in JSON; members that do not belong to its kind are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// Key type: `OKP`, `EC`, `RSA`.
    pub kty: String,
    /// The name by which a token refers to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// What it is for: `sig`.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// What it may do, such as `verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_ops: Option<Vec<String>>,
    /// The only algorithm it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// Curve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// The Ed25519 public key, or a point's x.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// A point's y.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// RSA modulus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// RSA exponent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
}

/// A set of public keys, as `/.well-known/jwks.json` answers it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

impl Jwk {
    /// An Ed25519 key for EdDSA signatures, its `kid` the thumbprint.
    pub(crate) fn ed25519(x: String) -> Self {
        let bare = Self {
            kty: "OKP".to_owned(),
            crv: Some("Ed25519".to_owned()),
            x: Some(x),
            ..Self::default()
        };
        bare.published_for("EdDSA")
    }

    /// A point of P-256 for ES256 signatures, likewise.
    pub(super) fn p256(x: String, y: String) -> Self {
        let bare = Self {
            kty: "EC".to_owned(),
            crv: Some("P-256".to_owned()),
            x: Some(x),
            y: Some(y),
            ..Self::default()
        };
        bare.published_for("ES256")
    }

    /// An RSA key for RS256 signatures, likewise.
    pub(super) fn rsa(n: String, e: String) -> Self {
        let bare = Self {
            kty: "RSA".to_owned(),
            n: Some(n),
            e: Some(e),
            ..Self::default()
        };
        bare.published_for("RS256")
    }

    fn published_for(self, alg: &str) -> Self {
        Self {
            kid: self.thumbprint(),
            usage: Some("sig".to_owned()),
            alg: Some(alg.to_owned()),
            ..self
        }
    }

    /// The RFC 7638 thumbprint (SHA-256, base64url); `None` when a member of its kind is missing.
    #[must_use]
    pub fn thumbprint(&self) -> Option<String> {
        let mut members = vec![("kty", &self.kty)];
        let own = match self.kty.as_str() {
            "OKP" => vec![("crv", &self.crv), ("x", &self.x)],
            "EC" => vec![("crv", &self.crv), ("x", &self.x), ("y", &self.y)],
            "RSA" => vec![("e", &self.e), ("n", &self.n)],
            _ => return None,
        };
        for (name, value) in own {
            members.push((name, value.as_ref()?));
        }
        members.sort_unstable();
        let members: Vec<_> = members
            .iter()
            .map(|(name, value)| format!("\"{name}\":{}", Value::from(value.as_str())))
            .collect();
        let canonical = format!("{{{}}}", members.join(","));
        Some(to_base64url(digest::digest(
            &digest::SHA256,
            canonical.as_bytes(),
        )))
    }
}

impl Jwks {
    /// The set in this JSON, at most 256 KiB and 64 keys.
    ///
    /// # Errors
    /// [`KeyError::NotJwks`]; [`KeyError::Symmetric`] if it holds a secret key, of whatever algorithm;
    /// [`KeyError::DuplicateKid`].
    pub fn from_json(json: &[u8]) -> Result<Self, KeyError> {
        Self::from_members(members(json)?)
    }

    pub(super) fn from_members(members: Map<String, Value>) -> Result<Self, KeyError> {
        let set: Self =
            serde_json::from_value(Value::Object(members)).map_err(|_| KeyError::NotJwks)?;
        set.refuse_ambiguous()?;
        Ok(set)
    }

    /// The keys we can verify with, of the [usual](Algorithms::USUAL) algorithms. Keys of other kinds, curves,
    /// algorithms or uses are left out.
    ///
    /// # Errors
    /// [`KeyError::Unusable`] if a key is of a kind we know and malformed or weak, and what
    /// [`from_json`](Self::from_json) refuses.
    pub fn verifying_keys(&self) -> Result<Vec<VerifyingKey>, KeyError> {
        self.verifying_keys_of(Algorithms::USUAL)
    }

    /// Likewise, of the algorithms that are accepted. An RSA key without an `alg` is for the only RSA algorithm among
    /// them, and left out if there are several.
    ///
    /// # Errors
    /// As [`verifying_keys`](Self::verifying_keys).
    pub fn verifying_keys_of(&self, accepted: Algorithms) -> Result<Vec<VerifyingKey>, KeyError> {
        self.refuse_ambiguous()?;
        self.keys
            .iter()
            .filter(|jwk| VerifyingKey::concerns(jwk, accepted))
            .map(|jwk| VerifyingKey::accepted(jwk, accepted))
            .collect()
    }

    pub(super) fn refuse_ambiguous(&self) -> Result<(), KeyError> {
        if self.keys.len() > KEYS_MAX {
            return Err(KeyError::NotJwks);
        }
        let mut kids = BTreeSet::new();
        for jwk in &self.keys {
            if jwk.kty == "oct" {
                return Err(KeyError::Symmetric);
            }
            if let Some(kid) = &jwk.kid
                && !kids.insert(kid)
            {
                return Err(KeyError::DuplicateKid(kid.clone()));
            }
        }
        Ok(())
    }
}

/// The members of a set, of which none is repeated.
pub(super) fn members(json: &[u8]) -> Result<Map<String, Value>, KeyError> {
    if json.len() > JWKS_BYTES_MAX {
        return Err(KeyError::NotJwks);
    }
    json_object(json).ok_or(KeyError::NotJwks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningKey;

    #[test]
    fn the_thumbprint_is_the_one_of_rfc_8037() {
        let jwk = Jwk::ed25519("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned());
        assert_eq!(
            jwk.kid.as_deref(),
            Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
        );
    }

    #[test]
    fn the_thumbprint_is_the_one_of_rfc_7638() {
        let jwk = Jwk {
            kty: "RSA".to_owned(),
            n: Some(
                "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
                    .to_owned(),
            ),
            e: Some("AQAB".to_owned()),
            alg: Some("RS256".to_owned()),
            kid: Some("2011-04-29".to_owned()),
            ..Jwk::default()
        };
        assert_eq!(
            jwk.thumbprint().as_deref(),
            Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
        );
    }

    #[test]
    fn a_published_key_says_what_it_is_for_and_no_secret() {
        let key = SigningKey::generate();
        let json = serde_json::to_value(key.verifying_key().jwk()).unwrap();
        let members: Vec<_> = json
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
        assert_eq!(json["alg"], "EdDSA");
        assert_eq!(json["use"], "sig");
        assert_eq!(json["kid"], key.kid());
    }

    #[test]
    fn a_set_is_read_as_it_was_written() {
        let key = SigningKey::generate();
        let set = Jwks {
            keys: vec![key.verifying_key().jwk().clone()],
        };
        let again = Jwks::from_json(&serde_json::to_vec(&set).unwrap()).unwrap();
        assert_eq!(again, set);
        assert_eq!(again.verifying_keys().unwrap()[0].kid(), key.kid());
    }

    #[test]
    fn a_set_with_a_symmetric_key_or_two_of_one_kid_is_refused() {
        let of = |keys: &str| Jwks::from_json(format!("{{\"keys\":[{keys}]}}").as_bytes());
        assert_eq!(of(r#"{"kty":"oct","k":"AA"}"#), Err(KeyError::Symmetric));
        assert_eq!(
            of(r#"{"kty":"OKP","kid":"a"},{"kty":"EC","kid":"a"}"#),
            Err(KeyError::DuplicateKid("a".to_owned()))
        );
        assert_eq!(of(r#"{"kty":"OKP","kty":"EC"}"#), Err(KeyError::NotJwks));
        let many = vec![r#"{"kty":"OKP"}"#; KEYS_MAX + 1].join(",");
        assert_eq!(of(&many), Err(KeyError::NotJwks));
    }

    #[test]
    fn keys_of_unknown_kinds_are_left_out_and_bad_ones_of_ours_are_not() {
        let of = |keys: &str| {
            Jwks::from_json(format!("{{\"keys\":[{keys}]}}").as_bytes())
                .unwrap()
                .verifying_keys()
        };
        let foreign =
            r#"{"kty":"AKP","kid":"a","alg":"ML-DSA-65"},{"kty":"RSA","kid":"b","use":"enc"}"#;
        assert_eq!(of(foreign).unwrap().len(), 0);
        let short = r#"{"kty":"OKP","crv":"Ed25519","kid":"c","alg":"EdDSA","x":"AAAA"}"#;
        assert!(matches!(of(short), Err(KeyError::Unusable { .. })));
    }
}
