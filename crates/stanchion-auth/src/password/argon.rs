//! Argon2id and its PHC strings.

use argon2::password_hash::phc::{PasswordHash, Salt};
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, KeyId, Params, ParamsBuilder, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::SecretString;
use stanchion_runtime::random;

use super::PasswordError;
use super::pepper::Peppers;

/// The most memory that a hash may ask for, stored ones included: 64 MiB.
const MEMORY_KIB_MAX: u32 = 64 * 1024;

/// The most iterations that a hash may ask for.
const ITERATIONS_MAX: u32 = 16;

/// The most lanes that a hash may ask for.
const LANES_MAX: u32 = 4;

const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// What an Argon2id hash costs; written into each hash, so it may change over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB, at most 64 MiB; 19 MiB by default.
    pub memory_kib: u32,
    /// Passes over it, at most 16; 2 by default.
    pub iterations: u32,
    /// Lanes, at most 4; 1 by default.
    pub lanes: u32,
}

/// Computes hashes of one cost, and verifies those of any bearable cost.
pub(super) struct Hasher {
    argon: Argon2<'static>,
    cost: Cost,
    peppers: Peppers,
    /// A hash of today's cost and pepper that no password matches.
    nobody: String,
}

impl Default for Cost {
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            iterations: 2,
            lanes: 1,
        }
    }
}

impl Cost {
    fn is_bearable(self) -> bool {
        self.memory_kib <= MEMORY_KIB_MAX
            && self.iterations <= ITERATIONS_MAX
            && self.lanes <= LANES_MAX
    }
}

impl Hasher {
    pub(super) fn new(cost: Cost, peppers: Peppers) -> Result<Self, PasswordError> {
        if !cost.is_bearable() {
            return Err(PasswordError::Failed(format!(
                "{cost:?} is beyond the limits"
            )));
        }
        let params = params(cost, peppers.current_id())
            .map_err(|error| PasswordError::Failed(error.to_string()))?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Ok(Self {
            argon,
            cost,
            nobody: nobody(cost, peppers.current_id()),
            peppers,
        })
    }

    pub(super) fn cost(&self) -> Cost {
        self.cost
    }

    pub(super) fn hash(&self, password: &SecretString) -> Result<String, PasswordError> {
        let salt = random::bytes::<SALT_BYTES>();
        let mixed = self.peppers.mixed(self.peppers.current_id(), password);
        let mixed = mixed.ok_or(PasswordError::PepperUnknown)?;
        self.argon
            .hash_password_with_salt(&mixed, &salt)
            .map(|hash: PasswordHash| hash.to_string())
            .map_err(|error| PasswordError::Failed(error.to_string()))
    }

    pub(super) fn verify(&self, phc: &str, password: &SecretString) -> Result<bool, PasswordError> {
        let hash = readable(phc).ok_or(PasswordError::Unreadable)?;
        let mixed = self.peppers.mixed(&pepper_of(&hash), password);
        let mixed = mixed.ok_or(PasswordError::PepperUnknown)?;
        match self.argon.verify_password(&mixed, &hash) {
            Ok(()) => Ok(true),
            Err(Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(PasswordError::Failed(error.to_string())),
        }
    }

    /// As [`verify`](Self::verify); a stored hash that is of no use takes as long as one that is.
    pub(super) fn verify_or_work(
        &self,
        phc: &str,
        password: &SecretString,
    ) -> Result<bool, PasswordError> {
        let outcome = self.verify(phc, password);
        if let Err(PasswordError::Unreadable | PasswordError::PepperUnknown) = outcome {
            self.verify_nobody(password)?;
        }
        outcome
    }

    /// The same work as for somebody, always `false`.
    pub(super) fn verify_nobody(&self, password: &SecretString) -> Result<bool, PasswordError> {
        self.verify(&self.nobody, password).map(|_| false)
    }

    #[cfg(test)]
    pub(super) fn nobody(&self) -> &str {
        &self.nobody
    }

    pub(super) fn is_current(&self, phc: &str) -> bool {
        readable(phc).is_some_and(|hash| {
            cost_of(&hash) == Some(self.cost)
                && pepper_of(&hash) == self.peppers.current_id()
                && hash.hash.is_some_and(|hash| hash.len() == HASH_BYTES)
                && hash.salt.is_some_and(|salt: Salt| salt.len() >= SALT_BYTES)
        })
    }
}

fn params(cost: Cost, pepper: &[u8]) -> argon2::Result<Params> {
    let mut builder = ParamsBuilder::new();
    builder
        .m_cost(cost.memory_kib)
        .t_cost(cost.iterations)
        .p_cost(cost.lanes)
        .output_len(HASH_BYTES);
    if !pepper.is_empty() {
        builder.keyid(KeyId::new(pepper)?);
    }
    builder.build()
}

/// Salt and hash are random: no password is known to lead to it.
fn nobody(cost: Cost, pepper: &[u8]) -> String {
    let Cost {
        memory_kib,
        iterations,
        lanes,
    } = cost;
    let keyid = match pepper {
        [] => String::new(),
        id => format!(",keyid={}", STANDARD_NO_PAD.encode(id)),
    };
    let salt = STANDARD_NO_PAD.encode(random::bytes::<SALT_BYTES>());
    let hash = STANDARD_NO_PAD.encode(random::bytes::<HASH_BYTES>());
    format!("$argon2id$v=19$m={memory_kib},t={iterations},p={lanes}{keyid}${salt}${hash}")
}

/// The id of the pepper that was mixed in; empty for none.
fn pepper_of(hash: &PasswordHash) -> Vec<u8> {
    let params = Params::try_from(hash);
    params.map_or_else(|_| Vec::new(), |params| params.keyid().to_vec())
}

/// An Argon2id hash, version 19, that does not cost more than we bear.
fn readable(phc: &str) -> Option<PasswordHash> {
    let hash = PasswordHash::new(phc).ok()?;
    let known = hash.algorithm.as_str() == "argon2id"
        && hash.version == Some(Version::V0x13.into())
        && hash.salt.is_some()
        && hash.hash.is_some();
    (known && cost_of(&hash)?.is_bearable()).then_some(hash)
}

fn cost_of(hash: &PasswordHash) -> Option<Cost> {
    let params = Params::try_from(hash).ok()?;
    Some(Cost {
        memory_kib: params.m_cost(),
        iterations: params.t_cost(),
        lanes: params.p_cost(),
    })
}
