//! What issuers publish, and the URLs of it.

use serde_json::Value;

use crate::encoding::json_object;
use crate::key::{Algorithms, Jwks, KeyRing};

/// Where discovery is, below the issuer (OpenID Connect Discovery 1.0, 4).
const CONFIGURATION: &str = "/.well-known/openid-configuration";

/// The longest URL in bytes; longer ones are nobody's.
const URL_BYTES_MAX: usize = 2_048;

/// Whether it can be an issuer: a URL of a place, without query and fragment. Plain http is for a loopback in tests;
/// what fetches refuses it unless it is told otherwise.
pub(super) fn is_issuer(iss: &str) -> bool {
    is_url(iss) && !iss.contains(['?', '#'])
}

/// Where the configuration of that issuer is.
pub(super) fn configuration_url(iss: &str) -> String {
    format!("{}{CONFIGURATION}", iss.trim_end_matches('/'))
}

/// Where the keys are, by an issuer's configuration.
///
/// # Errors
/// It is no configuration, names another issuer (so that no provider can stand in for another), or leaves https.
pub(super) fn jwks_url(configuration: &[u8], iss: &str) -> Result<String, String> {
    let members = json_object(configuration).ok_or("its configuration is no JSON object")?;
    if members.get("issuer").and_then(Value::as_str) != Some(iss) {
        return Err("its configuration is that of another issuer".into());
    }
    let url = members.get("jwks_uri").and_then(Value::as_str);
    let url = url.filter(|url| is_url(url));
    let url = url.ok_or("its configuration names no place of keys")?;
    if iss.starts_with("https:") && !url.starts_with("https:") {
        return Err("its keys are not behind https".into());
    }
    Ok(url.to_owned())
}

/// The keys that an issuer publishes, as far as they can be used: one that is weak or malformed does not take the others
/// with it.
///
/// # Errors
/// It is no JWK set, or one that is ambiguous or holds secrets, or none of its keys can be used.
pub(super) fn ring(set: &[u8], accepted: Algorithms) -> Result<KeyRing, String> {
    let told = |error: &dyn std::fmt::Display| format!("its keys: {error}");
    let set = Jwks::from_json(set).map_err(|error| told(&error))?;
    let (ring, unusable) = KeyRing::of_the_sound(&set, accepted).map_err(|error| told(&error))?;
    for error in &unusable {
        tracing::warn!(%error, "an issuer publishes a key that is not used");
    }
    if ring.is_empty() {
        return Err("none of its keys can be used".into());
    }
    Ok(ring)
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let is_plain = |rest: &str| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !host.is_empty() && !host.contains('@')
    };
    text.len() <= URL_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && rest.is_some_and(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_that_of_the_pinned_issuer_alone() {
        let iss = "https://login.example/realm";
        assert_eq!(
            configuration_url("https://login.example/realm/"),
            "https://login.example/realm/.well-known/openid-configuration"
        );
        let with = |issuer: &str, url: &str| {
            let document = serde_json::json!({"issuer": issuer, "jwks_uri": url}).to_string();
            jwks_url(document.as_bytes(), iss)
        };
        let keys = "https://keys.example/jwks?tenant=1";
        assert_eq!(with(iss, keys).as_deref(), Ok(keys));
        assert!(with("https://login.example/realm/", keys).is_err());
        assert!(with("https://evil.example", keys).is_err());
        for url in [
            "",
            "http://keys.example",
            "ftp://keys.example",
            "https://",
            "https://user@keys.example",
            "file:///etc/passwd",
            "https://keys.example/a b",
        ] {
            assert!(with(iss, url).is_err(), "{url}");
        }
        assert!(jwks_url(b"[]", iss).is_err() && jwks_url(b"{}", iss).is_err());
    }

    #[test]
    fn an_issuer_is_a_place_and_nothing_more() {
        assert!(is_issuer("https://login.example") && is_issuer("http://127.0.0.1:9/a"));
        for other in [
            "",
            "login.example",
            "https://a?b",
            "https://a#b",
            "https://u@a",
        ] {
            assert!(!is_issuer(other), "{other}");
        }
    }

    #[test]
    fn one_unusable_key_does_not_take_the_others_with_it() {
        let good = crate::key::SigningKey::generate();
        let good = serde_json::to_value(good.verifying_key().jwk()).unwrap();
        let short = serde_json::json!({"kty": "OKP", "crv": "Ed25519", "kid": "c", "x": "AAAA"});
        let secret = serde_json::json!({"kty": "oct", "kid": "d", "k": "AAAA"});
        let of = |keys: Value| {
            let set = serde_json::json!({ "keys": keys }).to_string();
            ring(set.as_bytes(), Algorithms::USUAL)
        };
        assert_eq!(of(serde_json::json!([good, short])).unwrap().len(), 1);
        assert!(of(serde_json::json!([short])).is_err());
        assert!(of(serde_json::json!([good, secret])).is_err());
        assert!(of(serde_json::json!([good, good])).is_err());
    }
}
