//! Personal data: the master key they hang on, and what an operator does about a person.

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use shop_identity::Identity;
use shop_kernel::UserId;
use stanchion::config::SecretString;
use stanchion::eventsourcing::{
    LogId, MasterKeys, Metadata, Resealed, SealingKey, Shredded, Subjects, SubjectsError,
};
use stanchion::server::Purpose;
use stanchion::sql::{Db, MasterKeyError, SqlSnapshots, SqlVault};

use crate::secrets::{configured_or_kept, kept};
use crate::settings::ShopSettings;

/// Where an embedded shop keeps the master key it made.
const KEPT_AS: &str = "personal-data.key";

/// What to do about a master key that is not the one.
const WRONG_KEY: &str = "personal.master_key is not the one that customers' keys are sealed with: give that one back, or \
                         as personal.other_master_key beside the new one, and then run `shop subjects reseal`";

/// The customers' keys, in identity's store, for a service that runs or an operator's command.
///
/// # Errors
/// There is no master key, or a service that runs has another one than the store.
pub(crate) async fn vault(
    settings: &ShopSettings,
    purpose: Purpose,
    db: Db,
) -> anyhow::Result<Arc<SqlVault>> {
    let vault = SqlVault::new(db, master_keys(settings, purpose)?);
    if purpose == Purpose::Run {
        vault.check().await.map_err(refusal)?;
    }
    Ok(vault)
}

fn refusal(error: MasterKeyError) -> anyhow::Error {
    let wrong = matches!(error, MasterKeyError::Wrong { .. });
    let error = anyhow::Error::new(error);
    if wrong {
        error.context(WRONG_KEY)
    } else {
        error.context("the customers' keys")
    }
}

/// As configured, or as an embedded shop made and kept it.
///
/// An operator's command makes none: what it seals nothing with and opens nothing with takes its place.
fn master_keys(settings: &ShopSettings, purpose: Purpose) -> anyhow::Result<MasterKeys> {
    let (configured, folder) = (settings.personal.master_key.as_ref(), settings.folder());
    let text = match purpose {
        Purpose::Run => configured_or_kept(
            configured,
            folder.as_deref(),
            KEPT_AS,
            "SHOP__PERSONAL__MASTER_KEY",
            SealingKey::generate_text,
        )?,
        Purpose::Operate => match (configured, folder) {
            (Some(configured), _) => configured.clone(),
            (None, Some(folder)) => {
                kept(&folder.join(KEPT_AS))?.unwrap_or_else(SealingKey::generate_text)
            }
            (None, None) => SealingKey::generate_text(),
        },
        Purpose::Describe => SealingKey::generate_text(),
    };
    let keys = MasterKeys::from(key(&text, "personal.master_key")?);
    Ok(match &settings.personal.other_master_key {
        Some(other) => keys.and_opening(key(other, "personal.other_master_key")?),
        None => keys,
    })
}

fn key(text: &SecretString, setting: &str) -> anyhow::Result<SealingKey> {
    SealingKey::from_text(text).with_context(|| setting.to_owned())
}

/// The customers in all that the shop keeps. A subject is a user's id.
pub(crate) struct Customers {
    pub(crate) identity: Arc<Identity>,
    pub(crate) vault: Arc<SqlVault>,
    /// The log that shreddings are recorded in: that of the vault's store.
    pub(crate) log: LogId,
    /// Those of the stores besides the vault's own.
    pub(crate) snapshots: Vec<SqlSnapshots>,
}

#[async_trait]
impl Subjects for Customers {
    fn log(&self) -> LogId {
        self.log
    }

    /// The rows first, because they may refuse; then the key, which is for ever; then what was made of opened values.
    async fn shred(&self, subject: &str, metadata: &Metadata) -> Result<Shredded, SubjectsError> {
        let user: UserId = subject.parse().map_err(|_| {
            SubjectsError::Refused(format!("`{subject}` is no user's id, which is a UUID"))
        })?;
        let subject = user.to_string();
        self.identity.forget(user, metadata).await?;
        let mut shredded = self.vault.shred(&subject, metadata).await?;
        for snapshots in &self.snapshots {
            let forgotten = snapshots.forget_subject(&subject).await;
            shredded.snapshots +=
                forgotten.map_err(|error| SubjectsError::Unavailable(error.to_string()))?;
        }
        Ok(shredded)
    }

    async fn reseal(&self, limit: usize) -> Result<Resealed, SubjectsError> {
        let resealed = self.vault.reseal(limit).await;
        resealed.map_err(|error| match error {
            MasterKeyError::Store(error) => SubjectsError::Unavailable(error.to_string()),
            wrong @ MasterKeyError::Wrong { .. } => {
                SubjectsError::Refused(format!("{WRONG_KEY}: {wrong}"))
            }
            damaged @ MasterKeyError::Damaged { .. } => SubjectsError::Refused(damaged.to_string()),
        })
    }
}
