//! Keys that verify signatures, each bound to one algorithm.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};

use super::algorithm::{Algorithm, Algorithms};
use super::held::Held;
use super::jwk::Jwk;
use super::{KeyError, roca};
use crate::encoding::from_base64url;

/// The longest `kid`, in bytes.
pub(crate) const KID_BYTES_MAX: usize = 256;

/// The RSA public exponents that are in use; smaller ones and odd ones of our own make have broken before.
const RSA_EXPONENT: &[u8] = &[1, 0, 1];

/// RSA moduli in bytes: 2048 to 8192 bits.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// A key under its `kid`, for exactly one algorithm.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: String,
    algorithm: Algorithm,
    material: Material,
    jwk: Jwk,
    held: Arc<Held>,
}

#[derive(Clone)]
pub(super) enum Material {
    Public(ParsedPublicKey),
    /// From the operator's own configuration alone.
    Shared(Box<hmac::Key>),
}

impl VerifyingKey {
    /// The public key in this JWK, which must state its `kid`.
    ///
    /// An RSA key without an `alg` could be meant for any padding: it is for RS256 here, and for nothing else.
    ///
    /// # Errors
    /// [`KeyError::Unusable`] for other kinds, uses, operations or algorithms, missing or malformed members, points
    /// off the curve, and RSA keys that are short, of another exponent than 65537, or of the ROCA family.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        Self::accepted(jwk, Algorithms::USUAL)
    }

    /// Likewise, for one of the algorithms that are accepted.
    pub(super) fn accepted(jwk: &Jwk, accepted: Algorithms) -> Result<Self, KeyError> {
        let parsed = algorithm_of(jwk, accepted)
            .and_then(|algorithm| Ok((algorithm, parse(algorithm, jwk)?)));
        match parsed {
            Ok((algorithm, public)) => {
                Ok(Self::new(jwk.clone(), algorithm, Material::Public(public)))
            }
            Err(why) => Err(KeyError::Unusable {
                kid: jwk.kid.clone().unwrap_or_default(),
                why,
            }),
        }
    }

    pub(super) fn new(jwk: Jwk, algorithm: Algorithm, material: Material) -> Self {
        Self {
            kid: jwk.kid.clone().unwrap_or_default(),
            algorithm,
            material,
            jwk,
            held: Arc::default(),
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

    /// The key as a JWK; of a shared secret without the secret.
    #[must_use]
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Whether `signature` is one of `message` by this key.
    ///
    /// A signature that held is remembered by a SHA-256 of both for as long as the key and its clones live, the last 4,096
    /// to 8,192 of them: the same token again costs a hash instead of a point multiplication. What did not hold is not.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Public(key) => {
                let print = Held::print(message, signature);
                if self.held.knows(&print) {
                    return true;
                }
                let holds = key.verify_sig(message, signature).is_ok();
                if holds {
                    self.held.remember(print);
                }
                holds
            }
            // Compares in constant time, and whole tags only.
            Material::Shared(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }

    /// How many signatures that held are remembered: at most 8,192.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.held.count()
    }

    /// Takes over what the same key remembered before; another key of that name remembers nothing.
    pub(super) fn remember_as(&mut self, before: &Self) {
        if (self.algorithm, &self.jwk) == (before.algorithm, &before.jwk) {
            self.held = Arc::clone(&before.held);
        }
    }

    pub(super) fn is_shared(&self) -> bool {
        matches!(self.material, Material::Shared(_))
    }

    /// Whether a JWK of a foreign set is of a kind, use and algorithm that is accepted.
    pub(super) fn concerns(jwk: &Jwk, accepted: Algorithms) -> bool {
        algorithm_of(jwk, accepted).is_ok()
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

/// What a key of any kind must say of itself.
pub(super) fn about(jwk: &Jwk) -> Result<(), &'static str> {
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
    Ok(())
}

fn algorithm_of(jwk: &Jwk, accepted: Algorithms) -> Result<Algorithm, &'static str> {
    let named = jwk.alg.as_deref();
    let algorithm = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("OKP", Some("Ed25519")) => Some(Algorithm::EdDsa),
        ("EC", Some("P-256")) => Some(Algorithm::Es256),
        ("EC", Some("P-384")) => Some(Algorithm::Es384),
        ("EC", Some("P-521")) => Some(Algorithm::Es512),
        ("RSA", None) => match named {
            Some(name) => Algorithm::from_name(name).filter(|algorithm| algorithm.is_rsa()),
            None => accepted.only_rsa(),
        },
        _ => return Err("its kind or curve is not one we verify"),
    };
    about(jwk)?;
    // The curve's number is taken for the hash's so often that it is told by the curve what is meant.
    let is_so_called = |name: &str, algorithm: &Algorithm| {
        name == algorithm.name() || (name == "ES521" && *algorithm == Algorithm::Es512)
    };
    algorithm
        .filter(|algorithm| named.is_none_or(|name| is_so_called(name, algorithm)))
        .filter(|algorithm| accepted.contains(*algorithm))
        .ok_or("its alg is not the one of its kind, or not accepted")
}

fn parse(algorithm: Algorithm, jwk: &Jwk) -> Result<ParsedPublicKey, &'static str> {
    match algorithm {
        Algorithm::EdDsa => {
            let x = fixed::<32>(jwk.x.as_deref())?;
            parsed(&signature::ED25519, &x)
        }
        Algorithm::Es256 => point::<32>(jwk, &signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::Es384 => point::<48>(jwk, &signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::Es512 => point::<66>(jwk, &signature::ECDSA_P521_SHA512_FIXED),
        Algorithm::Rs256 => rsa(jwk, &signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => rsa(jwk, &signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => rsa(jwk, &signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => rsa(jwk, &signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => rsa(jwk, &signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => rsa(jwk, &signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => Err("a secret is no public key"),
    }
}

fn point<const N: usize>(
    jwk: &Jwk,
    algorithm: &'static dyn VerificationAlgorithm,
) -> Result<ParsedPublicKey, &'static str> {
    let x = fixed::<N>(jwk.x.as_deref())?;
    let y = fixed::<N>(jwk.y.as_deref())?;
    parsed(algorithm, &[&[4], &x[..], &y[..]].concat())
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
