//! Secrets that the operator shares with an issuer, as JWKs of the kind `oct`.

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde_json::{Map, Value};

use super::KeyError;
use super::algorithm::{Algorithm, Algorithms};
use super::jwk::Jwk;
use super::verifying::{Material, VerifyingKey, about};
use crate::encoding::from_base64url;

/// The keys of a set in which every one is a secret.
///
/// # Errors
/// [`KeyError::Symmetric`] if there are public keys beside them; [`KeyError::Unusable`] for a secret without an `alg`
/// that is accepted, or with fewer bytes than its hash has (RFC 7518, 3.2).
pub(super) fn verifying_keys(
    mut set: Map<String, Value>,
    accepted: Algorithms,
) -> Result<Vec<VerifyingKey>, KeyError> {
    let Some(Value::Array(keys)) = set.remove("keys") else {
        return Err(KeyError::NotJwks);
    };
    keys.into_iter()
        .map(|key| match key {
            Value::Object(members) => verifying_key(members, accepted),
            _ => Err(KeyError::NotJwks),
        })
        .collect()
}

fn verifying_key(
    mut members: Map<String, Value>,
    accepted: Algorithms,
) -> Result<VerifyingKey, KeyError> {
    let secret = match members.remove("k") {
        Some(Value::String(secret)) => SecretString::from(secret),
        _ => SecretString::default(),
    };
    // Without the secret it is safe to be shown.
    let jwk: Jwk = serde_json::from_value(Value::Object(members)).map_err(|_| KeyError::NotJwks)?;
    if jwk.kty != "oct" {
        return Err(KeyError::Symmetric);
    }
    let made = algorithm_of(&jwk, accepted).and_then(|algorithm| {
        let bytes = from_base64url(secret.expose_secret()).unwrap_or_default();
        let bytes = SecretSlice::from(bytes);
        Ok((algorithm, hmac_key(algorithm, &bytes)?))
    });
    match made {
        Ok((algorithm, key)) => Ok(VerifyingKey::new(
            jwk,
            algorithm,
            Material::Shared(Box::new(key)),
        )),
        Err(why) => Err(KeyError::Unusable {
            kid: jwk.kid.unwrap_or_default(),
            why,
        }),
    }
}

fn algorithm_of(jwk: &Jwk, accepted: Algorithms) -> Result<Algorithm, &'static str> {
    about(jwk)?;
    let named = jwk.alg.as_deref().and_then(Algorithm::from_name);
    named
        .filter(|algorithm| algorithm.is_hmac() && accepted.contains(*algorithm))
        .ok_or("its alg is not one of the HMACs that are accepted")
}

fn hmac_key(algorithm: Algorithm, bytes: &SecretSlice<u8>) -> Result<hmac::Key, &'static str> {
    let (hash, bytes_min) = match algorithm {
        Algorithm::Hs256 => (hmac::HMAC_SHA256, 32),
        Algorithm::Hs384 => (hmac::HMAC_SHA384, 48),
        _ => (hmac::HMAC_SHA512, 64),
    };
    let bytes = bytes.expose_secret();
    if bytes.len() < bytes_min {
        return Err("its secret is shorter than its hash");
    }
    Ok(hmac::Key::new(hash, bytes))
}
