//! Signature algorithms: which exist here, which a ring takes, which ours sign with.

use std::fmt;
use std::str::FromStr;

/// A signature algorithm of JWA (RFC 7518, RFC 8037). `none` does not exist here.
///
/// A token never chooses one: each key is for exactly one, and a ring takes only keys of [`Algorithms`] that were
/// accepted for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// RSA PKCS#1 v1.5 with SHA-256, for issuers that have nothing better.
    Rs256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    Rs384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    Rs512,
    /// RSA-PSS with SHA-256.
    Ps256,
    /// RSA-PSS with SHA-384.
    Ps384,
    /// RSA-PSS with SHA-512.
    Ps512,
    /// HMAC with SHA-256: whoever verifies could sign. Only with secrets of the operator's own configuration.
    Hs256,
    /// HMAC with SHA-384, likewise.
    Hs384,
    /// HMAC with SHA-512, likewise.
    Hs512,
}

/// A set of algorithms that are accepted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Algorithms(u16);

/// The algorithms that our own keys sign with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SigningAlgorithm {
    /// Ed25519, the default: the quickest, and nothing about a signature is left to chance.
    #[default]
    EdDsa,
    /// ECDSA on P-256, for verifiers that lack Ed25519.
    Es256,
    /// RSA of 2048 bits, for verifiers that know nothing else: signing costs some forty times as much.
    Rs256,
}

/// A name that is no algorithm we sign with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("keys of ours sign with EdDSA, ES256 or RS256")]
pub struct NotASigningAlgorithm;

const ALL: [Algorithm; 13] = [
    Algorithm::EdDsa,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Hs256,
    Algorithm::Hs384,
    Algorithm::Hs512,
];

impl Algorithm {
    /// The `alg` name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// The algorithm of exactly that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub(super) fn is_rsa(self) -> bool {
        Algorithms::RSA.contains(self)
    }

    pub(super) fn is_hmac(self) -> bool {
        Algorithms::HMAC.contains(self)
    }
}

impl Algorithms {
    /// EdDSA, ES256 and RS256: what a ring takes unless told otherwise.
    pub const USUAL: Self = Self::of(&[Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256]);

    /// Every algorithm with public keys.
    pub const PUBLIC: Self = Self(Self::of(&ALL).0 & !Self::HMAC.0);

    const RSA: Self = Self::of(&[
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
    ]);

    /// Every algorithm with shared secrets.
    pub const HMAC: Self = Self::of(&[Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512]);

    /// These.
    #[must_use]
    pub const fn of(algorithms: &[Algorithm]) -> Self {
        let (mut bits, mut nth) = (0, 0);
        while nth < algorithms.len() {
            bits |= 1 << algorithms[nth] as u16;
            nth += 1;
        }
        Self(bits)
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether that one is among them.
    #[must_use]
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & (1 << algorithm as u16) != 0
    }

    /// The only RSA algorithm among them; `None` if there is none, or more than one.
    pub(super) fn only_rsa(self) -> Option<Algorithm> {
        let mut found = ALL
            .into_iter()
            .filter(|one| one.is_rsa() && self.contains(*one));
        let first = found.next();
        if found.next().is_some() { None } else { first }
    }
}

impl Default for Algorithms {
    fn default() -> Self {
        Self::USUAL
    }
}

impl fmt::Debug for Algorithms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ALL.into_iter().filter(|one| self.contains(*one));
        formatter
            .debug_set()
            .entries(names.map(Algorithm::name))
            .finish()
    }
}

impl SigningAlgorithm {
    /// The same among all algorithms.
    #[must_use]
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::EdDsa => Algorithm::EdDsa,
            Self::Es256 => Algorithm::Es256,
            Self::Rs256 => Algorithm::Rs256,
        }
    }

    /// The `alg` name, as a store keeps it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.algorithm().name()
    }
}

impl FromStr for SigningAlgorithm {
    type Err = NotASigningAlgorithm;

    fn from_str(name: &str) -> Result<Self, NotASigningAlgorithm> {
        [Self::EdDsa, Self::Es256, Self::Rs256]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or(NotASigningAlgorithm)
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_is_found_by_its_exact_name_alone() {
        for algorithm in ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
        for other in ["none", "eddsa", "ES521", "RS1", "HS256 ", ""] {
            assert_eq!(Algorithm::from_name(other), None, "{other:?}");
        }
    }

    #[test]
    fn secrets_are_accepted_only_where_they_are_named() {
        for algorithm in ALL {
            assert_ne!(
                Algorithms::PUBLIC.contains(algorithm),
                Algorithms::HMAC.contains(algorithm)
            );
        }
        assert!(!Algorithms::default().contains(Algorithm::Hs256));
        assert_eq!(Algorithms::USUAL.only_rsa(), Some(Algorithm::Rs256));
        assert_eq!(Algorithms::PUBLIC.only_rsa(), None);
    }

    #[test]
    fn a_signing_algorithm_is_read_as_it_is_written() {
        for name in ["EdDSA", "ES256", "RS256"] {
            assert_eq!(name.parse::<SigningAlgorithm>().unwrap().to_string(), name);
        }
        assert!("HS256".parse::<SigningAlgorithm>().is_err());
    }
}
