use aws_lc_rs::digest;

use crate::encoding::{from_base64url, to_base64url};
use crate::secret::equal;

/// How long a code verifier is, in characters (RFC 7636, 4.1).
const VERIFIER_CHARACTERS: std::ops::RangeInclusive<usize> = 43..=128;

/// A code challenge by S256: the SHA-256 of a verifier that the client keeps until it redeems the code (RFC 7636).
///
/// `plain` is not there: whoever reads the request would have the verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge([u8; 32]);

/// Why a request's challenge is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PkceError {
    /// There is none; OAuth 2.1 demands it of every client.
    #[error("code_challenge is missing")]
    Missing,
    /// Another method than S256, which is also what leaving it out means (RFC 7636, 4.3).
    #[error("code_challenge_method is not S256")]
    Method,
    /// It is not 43 characters of base64url.
    #[error("code_challenge is not the base64url of a SHA-256")]
    Malformed,
}

impl Challenge {
    /// The challenge in a request's `code_challenge` and `code_challenge_method`.
    ///
    /// # Errors
    /// [`PkceError`].
    pub fn of(challenge: Option<&str>, method: Option<&str>) -> Result<Self, PkceError> {
        let challenge = challenge.ok_or(PkceError::Missing)?;
        if method != Some("S256") {
            return Err(PkceError::Method);
        }
        let bytes = from_base64url(challenge).ok_or(PkceError::Malformed)?;
        let bytes = bytes.try_into().map_err(|_| PkceError::Malformed)?;
        Ok(Self(bytes))
    }

    /// Whether that verifier made it, in constant time; never for one that RFC 7636 does not allow.
    #[must_use]
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let allowed =
            VERIFIER_CHARACTERS.contains(&verifier.len()) && verifier.bytes().all(unreserved);
        let digest = digest::digest(&digest::SHA256, verifier.as_bytes());
        allowed && equal(&self.0, digest.as_ref())
    }

    /// As it is written in a request.
    #[must_use]
    pub fn text(&self) -> String {
        to_base64url(self.0)
    }

    /// The bytes a store keeps.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Challenge {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_verifier_of_the_rfc_meets_its_challenge() {
        let challenge = Challenge::of(Some(CHALLENGE), Some("S256")).unwrap();
        assert!(challenge.is_met_by(VERIFIER));
        assert_eq!(challenge.text(), CHALLENGE);
    }

    #[test]
    fn no_other_verifier_does() {
        let challenge = Challenge::of(Some(CHALLENGE), Some("S256")).unwrap();
        for other in ["", CHALLENGE, &VERIFIER[1..], &format!("{VERIFIER}=")] {
            assert!(!challenge.is_met_by(other), "{other}");
        }
        // Too short and too long ones meet not even their own challenge.
        for verifier in ["short".to_owned(), "a".repeat(129), format!("{VERIFIER} ")] {
            let digest = digest::digest(&digest::SHA256, verifier.as_bytes());
            let own = Challenge(digest.as_ref().try_into().unwrap());
            assert!(!own.is_met_by(&verifier), "{verifier}");
        }
    }

    #[test]
    fn only_s256_is_a_method() {
        let with = |method| Challenge::of(Some(CHALLENGE), method).unwrap_err();
        for method in [None, Some("plain"), Some("s256"), Some("S512"), Some("")] {
            assert_eq!(with(method), PkceError::Method, "{method:?}");
        }
        assert_eq!(Challenge::of(None, Some("S256")), Err(PkceError::Missing));
        for malformed in ["", "abc", &format!("{CHALLENGE}="), &CHALLENGE[1..]] {
            let refused = Challenge::of(Some(malformed), Some("S256"));
            assert_eq!(refused, Err(PkceError::Malformed), "{malformed}");
        }
    }
}
