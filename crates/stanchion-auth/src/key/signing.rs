//! Private keys that sign tokens.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use secrecy::{ExposeSecret, SecretSlice};
use stanchion_runtime::random;

use super::KeyError;
use super::algorithm::SigningAlgorithm;
use super::jwk::Jwk;
use super::verifying::VerifyingKey;
use crate::encoding::to_base64url;

/// A key that signs tokens; its `kid` is the RFC 7638 thumbprint of its public half.
pub struct SigningKey {
    pair: Pair,
    verifying: VerifyingKey,
}

enum Pair {
    Ed25519(Box<Ed25519KeyPair>),
    P256(Box<EcdsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
}

impl SigningKey {
    /// A new Ed25519 key, from the random bytes of [`stanchion_runtime`].
    #[must_use]
    pub fn generate() -> Self {
        let seed = SecretSlice::from(random::bytes::<32>().to_vec());
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose_secret())
            .expect("any 32 bytes are an Ed25519 seed");
        Self::from_pair(Pair::Ed25519(Box::new(pair))).expect("a pair's public half is a key")
    }

    /// A new key of that algorithm. P-256 and RSA keys are drawn by the crypto provider's own generator; an RSA key of
    /// 2048 bits takes a tenth of a second or so, on the calling thread.
    ///
    /// # Errors
    /// [`KeyError::NotGenerated`] if the provider made none, which may be tried again.
    pub fn generate_for(algorithm: SigningAlgorithm) -> Result<Self, KeyError> {
        let failed = |_| KeyError::NotGenerated;
        let pair = match algorithm {
            SigningAlgorithm::EdDsa => return Ok(Self::generate()),
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
                Pair::P256(Box::new(pair.map_err(failed)?))
            }
            SigningAlgorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048);
                Pair::Rsa(Box::new(pair.map_err(failed)?))
            }
        };
        Self::from_pair(pair).map_err(|_| KeyError::NotGenerated)
    }

    /// The key in this PKCS#8 DER (Ed25519 in version 1 or 2, P-256, RSA of 2048 to 8192 bits); what it is says its
    /// algorithm.
    ///
    /// # Errors
    /// [`KeyError::NotPkcs8`] for anything else, keys of other kinds included; [`KeyError::Unusable`] for an RSA key of
    /// another exponent than 65537 or of the ROCA family.
    pub fn from_pkcs8(der: &SecretSlice<u8>) -> Result<Self, KeyError> {
        let der = der.expose_secret();
        let pair = Ed25519KeyPair::from_pkcs8(der)
            .map(|pair| Pair::Ed25519(Box::new(pair)))
            .or_else(|_| {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
                pair.map(|pair| Pair::P256(Box::new(pair)))
            })
            .or_else(|_| RsaKeyPair::from_pkcs8(der).map(|pair| Pair::Rsa(Box::new(pair))));
        Self::from_pair(pair.map_err(|_| KeyError::NotPkcs8)?)
    }

    /// The key as PKCS#8 DER, version 1; seal it with a [`KeyEncryptionKey`](super::KeyEncryptionKey) before it is
    /// stored.
    #[must_use]
    pub fn to_pkcs8(&self) -> SecretSlice<u8> {
        let written = match &self.pair {
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
            Pair::P256(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
            Pair::Rsa(pair) => pair.as_der().map(|der| der.as_ref().to_vec()),
        };
        SecretSlice::from(written.expect("a key that was made can be written"))
    }

    /// The name under which others find the public half.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.verifying.kid()
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        match self.pair {
            Pair::Ed25519(_) => SigningAlgorithm::EdDsa,
            Pair::P256(_) => SigningAlgorithm::Es256,
            Pair::Rsa(_) => SigningAlgorithm::Rs256,
        }
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// The signature of `message` as a JWS wants it: 64 bytes, or as many as an RSA modulus has.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::P256(pair) => {
                let signed = pair.sign(&SystemRandom::new(), message);
                let signed = signed.expect("the provider signs with a key that it has taken");
                signed.as_ref().to_vec()
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .expect("the provider signs with a key that it has taken");
                signature
            }
        }
    }

    fn from_pair(pair: Pair) -> Result<Self, KeyError> {
        let jwk = match &pair {
            Pair::Ed25519(pair) => Jwk::ed25519(to_base64url(pair.public_key())),
            Pair::P256(pair) => {
                // Uncompressed: 4, then 32 bytes each of x and y.
                let point = pair.public_key().as_ref();
                Jwk::p256(to_base64url(&point[1..33]), to_base64url(&point[33..]))
            }
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let n = public.modulus().big_endian_without_leading_zero();
                let e = public.exponent().big_endian_without_leading_zero();
                Jwk::rsa(to_base64url(n), to_base64url(e))
            }
        };
        let verifying = VerifyingKey::from_jwk(&jwk)?;
        Ok(Self { pair, verifying })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({}, ***)", self.kid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::to_hex;

    const EVERY: [SigningAlgorithm; 3] = [
        SigningAlgorithm::EdDsa,
        SigningAlgorithm::Es256,
        SigningAlgorithm::Rs256,
    ];

    #[test]
    fn a_key_of_each_algorithm_survives_pkcs8_and_verifies_what_it_signs() {
        for algorithm in EVERY {
            let key = SigningKey::generate_for(algorithm).unwrap();
            let again = SigningKey::from_pkcs8(&key.to_pkcs8()).unwrap();
            assert_eq!((again.kid(), again.algorithm()), (key.kid(), algorithm));
            let signature = again.sign(b"x");
            assert!(key.verifying_key().verify(b"x", &signature));
            assert!(!key.verifying_key().verify(b"y", &signature));
        }
    }

    #[test]
    fn what_held_once_is_remembered_and_a_forgery_is_not() {
        for algorithm in EVERY {
            let key = SigningKey::generate_for(algorithm).unwrap();
            let verifying = key.verifying_key();
            let mut signature = key.sign(b"x");
            for _ in 0..2 {
                assert!(verifying.verify(b"x", &signature));
                assert!(!verifying.verify(b"y", &signature));
                assert_eq!(verifying.remembered(), 1);
            }
            signature[0] ^= 1;
            assert!(!verifying.verify(b"x", &signature));
            assert_eq!(
                (verifying.remembered(), verifying.clone().remembered()),
                (1, 1)
            );
        }
    }

    #[test]
    fn what_is_no_key_that_signs_is_refused() {
        let p384 =
            EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let p384 = p384.to_pkcs8v1().unwrap().as_ref().to_vec();
        for other in [p384, Vec::new(), vec![0; 48]] {
            assert_eq!(
                SigningKey::from_pkcs8(&SecretSlice::from(other)).unwrap_err(),
                KeyError::NotPkcs8
            );
        }
    }

    #[test]
    fn a_signing_key_does_not_print_itself() {
        let key = SigningKey::generate();
        let seed = &key.to_pkcs8().expose_secret()[16..48].to_vec();
        let shown = format!("{key:?} {key:#?}");
        assert!(!shown.contains(&to_hex(seed)) && !shown.contains(&to_base64url(seed)));
        assert!(!shown.contains(&format!("{seed:?}")));
        assert!(shown.contains("***"));
    }
}
