//! Public keys that verify signatures, each bound to one algorithm.

use std::fmt;

use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};

use super::jwk::Jwk;
use super::{KeyError, roca};
use crate::encoding::from_base64url;

/// The longest `kid`, in bytes.
const KID_BYTES_MAX: usize = 256;

/// The RSA public exponents that are in use; smaller ones and odd ones of our own make have broken before.
const RSA_EXPONENT: &[u8] = &[1, 0, 1];

/// RSA moduli in bytes: 2048 to 8192 bits.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// A signature algorithm that we verify. Symmetric ones and `none` do not exist here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSA PKCS#1 v1.5 with SHA-256, for issuers that have nothing better.
    Rs256,
}

/// A public key under its `kid`, for exactly one algorithm.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: String,
    algorithm: Algorithm,
    public: ParsedPublicKey,
    jwk: Jwk,
}

impl Algorithm {
    /// The `alg` name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm that a key of this kind and curve is for, as far as we know it.
    fn of_kind(jwk: &Jwk) -> Option<Self> {
        match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => Some(Self::EdDsa),
            ("EC", Some("P-256")) => Some(Self::Es256),
            ("RSA", None) => Some(Self::Rs256),
            _ => None,
        }
    }
}

impl VerifyingKey {
    /// The key in this JWK, which must state its `kid` and, for RSA, its `alg`.
    ///
    /// # Errors
    /// [`KeyError::Unusable`] for other kinds, uses, operations or algorithms, missing or malformed members, points
    /// off the curve, and RSA keys that are short, of another exponent than 65537, or of the ROCA family.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        let kid = jwk.kid.clone().unwrap_or_default();
        let parsed =
            algorithm_of(jwk).and_then(|algorithm| Ok((algorithm, parse(algorithm, jwk)?)));
        match parsed {
            Ok((algorithm, public)) => Ok(Self {
                kid,
                algorithm,
                public,
                jwk: jwk.clone(),
            }),
            Err(why) => Err(KeyError::Unusable { kid, why }),
        }
    }

    /// The key's name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The only algorithm it verifies.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key as a JWK.
    #[must_use]
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Whether `signature` is one of `message` by this key.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }

    /// Whether a JWK of a foreign set is of a kind, use and algorithm we verify with.
    pub(super) fn concerns(jwk: &Jwk) -> bool {
        algorithm_of(jwk).is_ok()
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "VerifyingKey({}, {})",
            self.kid,
            self.algorithm.name()
        )
    }
}

fn algorithm_of(jwk: &Jwk) -> Result<Algorithm, &'static str> {
    let algorithm = Algorithm::of_kind(jwk).ok_or("its kind or curve is not one we verify")?;
    match jwk.kid.as_deref() {
        Some(kid) if (1..=KID_BYTES_MAX).contains(&kid.len()) => {}
        _ => return Err("it has no kid, or one that is too long"),
    }
    if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return Err("its use is not `sig`");
    }
    if jwk
        .key_ops
        .as_ref()
        .is_some_and(|ops| !ops.iter().any(|op| op == "verify"))
    {
        return Err("its key_ops lack `verify`");
    }
    match jwk.alg.as_deref() {
        Some(alg) if alg == algorithm.name() => Ok(algorithm),
        // An RSA key without one could be meant for any padding.
        None if algorithm != Algorithm::Rs256 => Ok(algorithm),
        _ => Err("its alg is not the one of its kind"),
    }
}

fn parse(algorithm: Algorithm, jwk: &Jwk) -> Result<ParsedPublicKey, &'static str> {
    match algorithm {
        Algorithm::EdDsa => {
            let x = fixed::<32>(jwk.x.as_deref())?;
            parsed(&signature::ED25519, &x)
        }
        Algorithm::Es256 => {
            let (x, y) = (
                fixed::<32>(jwk.x.as_deref())?,
                fixed::<32>(jwk.y.as_deref())?,
            );
            let point = [&[4], &x[..], &y[..]].concat();
            parsed(&signature::ECDSA_P256_SHA256_FIXED, &point)
        }
        Algorithm::Rs256 => rsa(jwk, &signature::RSA_PKCS1_2048_8192_SHA256),
    }
}

fn rsa(jwk: &Jwk, parameters: &'static RsaParameters) -> Result<ParsedPublicKey, &'static str> {
    let n = member(jwk.n.as_deref())?;
    let e = member(jwk.e.as_deref())?;
    if e != RSA_EXPONENT {
        return Err("its exponent is not 65537");
    }
    if !RSA_MODULUS_BYTES.contains(&n.len()) || n[0] == 0 {
        return Err("its modulus is not 2048 to 8192 bits long");
    }
    if roca::is_suspect(&n) {
        return Err("its modulus is of the ROCA family, which can be factored");
    }
    RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(parameters)
        .map_err(|_| "its modulus is no RSA key")
}

fn parsed(
    algorithm: &'static dyn VerificationAlgorithm,
    bytes: &[u8],
) -> Result<ParsedPublicKey, &'static str> {
    ParsedPublicKey::new(algorithm, bytes).map_err(|_| "its point is not on the curve")
}

fn fixed<const N: usize>(text: Option<&str>) -> Result<[u8; N], &'static str> {
    member(text)?
        .try_into()
        .map_err(|_| "a member has the wrong length")
}

fn member(text: Option<&str>) -> Result<Vec<u8>, &'static str> {
    text.and_then(from_base64url)
        .filter(|bytes| !bytes.is_empty())
        .ok_or("a member is missing or no base64url")
}
