//! The customers' keys, which can be out of reach.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use stanchion::eventsourcing::{MemoryVault, SubjectKey, Vault, VaultError};

/// Keys in memory, unless they are out.
#[derive(Default)]
pub(crate) struct Keys {
    pub(crate) out: AtomicBool,
    kept: MemoryVault,
}

impl Keys {
    fn reach(&self) -> Result<&MemoryVault, VaultError> {
        if self.out.load(Ordering::Relaxed) {
            return Err(VaultError("the safe is shut".into()));
        }
        Ok(&self.kept)
    }
}

#[async_trait]
impl Vault for Keys {
    async fn keys_to_open(
        &self,
        subjects: &[String],
    ) -> Result<HashMap<String, SubjectKey>, VaultError> {
        self.reach()?.keys_to_open(subjects).await
    }

    async fn keys_to_seal(
        &self,
        subjects: &[String],
    ) -> Result<HashMap<String, SubjectKey>, VaultError> {
        self.reach()?.keys_to_seal(subjects).await
    }
}
