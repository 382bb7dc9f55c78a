//! Identity, which every process needs something of: here with its store, or asked where it runs.

use std::sync::Arc;

use anyhow::Context;
use secrecy::SecretString;
use shop_identity::{
    Attempts, Elsewhere, Identity, IdentityElsewhere, MailDependencies, MailPages,
};
use stanchion::auth::Passwords;
use stanchion::auth::key::KeyEncryptionKey;
use stanchion::auth::key::rotation::RELOAD_EVERY;
use stanchion::auth::password::{Cost, PasswordSettings, Pepper};
use stanchion::auth::refresh::{Lifetimes, Overlap};
use stanchion::auth::secret_source::SecretSource;
use stanchion::eventsourcing::{LogId, Vault};
use stanchion::mail::{self, Counted};
use stanchion::server::{Authenticate, Module, Purpose};
use stanchion::sql::SqlVault;
use stanchion::vault::{VaultPlace, VaultSecret};

use super::{Calls, Parts};
use crate::personal;
use crate::secrets::kept;
use crate::split::is_whole;
use crate::store::Store;

/// The folder of mails beside an embedded store.
const MAILS: &str = "mail";

/// `aud` of access tokens.
const AUDIENCE: &str = "shop";

/// Where an embedded shop keeps the key-encryption key it made.
const KEPT_AS: &str = "key-encryption.key";

/// What an operator's command asks, which asks nobody.
const NOBODY: &str = "http://127.0.0.1:9";

/// What this process has of identity.
pub(crate) struct IdentityPart {
    /// What it serves of it, if it is one of the modules.
    pub(crate) module: Option<Module>,
    pub(crate) tokens: Arc<dyn Authenticate>,
    pub(crate) vault: Arc<dyn Vault>,
    /// With its store.
    pub(crate) here: Option<Here>,
    pub(crate) made_password: Option<SecretString>,
    elsewhere: Option<Arc<IdentityElsewhere>>,
}

/// Identity with its store.
pub(crate) struct Here {
    pub(crate) identity: Arc<Identity>,
    pub(crate) vault: Arc<SqlVault>,
    pub(crate) log: LogId,
}

impl Parts<'_> {
    pub(crate) async fn identity(&self, calls: &Calls) -> anyhow::Result<IdentityPart> {
        let wanted = self.options.wants("identity");
        let endpoint = &self.settings.identity.endpoint;
        // Without a broker every process reads all stores anyway, this one too unless it is told whom to ask.
        if wanted || (endpoint.is_none() && !self.broker.is_outside()) {
            return self.identity_here(calls).await;
        }
        self.identity_elsewhere(calls, endpoint.as_deref().unwrap_or(NOBODY))
    }

    fn identity_elsewhere(&self, calls: &Calls, url: &str) -> anyhow::Result<IdentityPart> {
        let service = match self.options.modules.as_slice() {
            [] => "shop".to_owned(),
            modules => modules.join("-"),
        };
        let elsewhere = IdentityElsewhere::at(Elsewhere {
            url,
            client: &self.settings.identity.client,
            service: &service,
            tokens: calls.tokens.clone(),
            signer: &calls.signer,
            issuer: self.settings.issuer(),
            audience: AUDIENCE.into(),
            attempts: self
                .near
                .attempts(self.settings, &calls.signer, Attempts::of_tokens),
            metrics: self.metrics,
        });
        let elsewhere = elsewhere.context("identity.endpoint")?;
        Ok(IdentityPart {
            module: None,
            tokens: Arc::clone(&elsewhere) as Arc<dyn Authenticate>,
            vault: Arc::clone(&elsewhere) as Arc<dyn Vault>,
            here: None,
            made_password: None,
            elsewhere: Some(elsewhere),
        })
    }

    async fn identity_here(&self, calls: &Calls) -> anyhow::Result<IdentityPart> {
        let purpose = self.options.purpose;
        // Before a store is opened: a start without its key names the key.
        let key = self.key_encryption_key().await?;
        let store = self.store("identity").await?;
        let dependencies = self.identity_dependencies(&store, &key, calls)?;
        let identity = Identity::new(&dependencies);
        let mut made_password = None;
        if purpose == Purpose::Run {
            let password = self.settings.identity.admin_password.as_ref();
            made_password = identity.bootstrap(password).await?.admin_password;
        }
        let vault = personal::vault(self.settings, purpose, store.db.clone()).await?;
        let mut module = None;
        if self.options.wants("identity") {
            let mut own = shop_identity::module(&identity, &dependencies);
            if dependencies.mail.is_some() {
                let relay = shop_identity::relay(Arc::clone(&store.log));
                own = self.broker.announced(own, relay, &store);
            }
            if !is_whole(self.options) {
                let vault = Arc::clone(&vault) as Arc<dyn Vault>;
                own = own.grpc(shop_identity::for_services(&identity, vault, &calls.signer));
            }
            module = Some(self.kept(own, &store));
        }
        Ok(IdentityPart {
            module,
            tokens: identity.authenticator(),
            vault: Arc::clone(&vault) as Arc<dyn Vault>,
            here: Some(Here {
                identity,
                vault,
                log: store.log.id(),
            }),
            made_password,
            elsewhere: None,
        })
    }

    fn identity_dependencies(
        &self,
        store: &Store,
        key: &SecretString,
        calls: &Calls,
    ) -> anyhow::Result<shop_identity::Dependencies> {
        let settings = &self.settings.identity;
        let cost = Cost {
            memory_kib: settings.hash_memory_kib,
            ..Cost::default()
        };
        let passwords = Passwords::new(&PasswordSettings {
            cost,
            ..PasswordSettings::default()
        })?;
        let pepper = |text: &Option<SecretString>| text.as_ref().map(Pepper::from_text).transpose();
        let current = pepper(&settings.password_pepper)?;
        let former = pepper(&settings.other_password_pepper)?.into_iter();
        let passwords = passwords.peppered(current, former.collect())?;
        Ok(shop_identity::Dependencies {
            db: store.db.clone(),
            log: Arc::clone(&store.log),
            inbox: Arc::clone(&store.inbox),
            passwords,
            sealing: Arc::new(self.sealing(key)?),
            signing_algorithm: settings.signing_algorithm.into(),
            issuer: self.settings.issuer(),
            audience: AUDIENCE.into(),
            access_ttl: self.settings.auth.access_token_life.try_into()?,
            lifetimes: Lifetimes {
                idle: settings.session_idle.try_into()?,
                family: settings.session_life.try_into()?,
            },
            overlap: Overlap::of(settings.refresh_overlap.try_into()?, &calls.signer),
            ended_sessions_kept: self.settings.retention.ended_sessions.try_into()?,
            metrics: self.metrics.clone(),
            mail: self.mail(store)?,
            attempts: self
                .near
                .attempts(self.settings, &calls.signer, Attempts::new),
        })
    }
}

impl Parts<'_> {
    /// From the vault, as configured, or as an embedded shop made and kept it. An operator's command makes none: what
    /// opens nothing takes its place where there is none.
    async fn key_encryption_key(&self) -> anyhow::Result<SecretString> {
        let settings = &self.settings.identity;
        let configured = settings.key_encryption_key.as_ref();
        if self.options.purpose == Purpose::Describe {
            return Ok(KeyEncryptionKey::generate_text());
        }
        let runs = self.options.purpose == Purpose::Run;
        match (&settings.vault.place, configured, self.settings.folder()) {
            (Some(place), ..) if runs => self.read_vault(place).await,
            (Some(place), ..) => {
                let read = self.read_vault(place).await;
                Ok(read.unwrap_or_else(|_| KeyEncryptionKey::generate_text()))
            }
            (None, Some(configured), _) if !runs => Ok(configured.clone()),
            (None, None, Some(folder)) if !runs => {
                let kept = kept(&folder.join(KEPT_AS))?;
                Ok(kept.unwrap_or_else(KeyEncryptionKey::generate_text))
            }
            _ => self.secret(
                configured,
                KEPT_AS,
                "SHOP__IDENTITY__KEY_ENCRYPTION_KEY",
                KeyEncryptionKey::generate_text,
            ),
        }
    }

    async fn read_vault(&self, place: &str) -> anyhow::Result<SecretString> {
        let settings = &self.settings.identity.vault;
        let place: VaultPlace = place.parse().context("identity.vault.place")?;
        let token = settings.token.clone();
        let token =
            token.context("SHOP__IDENTITY__VAULT__TOKEN must be set: the vault wants one")?;
        let vault = VaultSecret::at(&place, token, &settings.client, self.metrics);
        let vault = vault.context("identity.vault")?;
        Ok(vault.secret().await?)
    }

    /// Seals with the configured key, and opens what the other one sealed.
    fn sealing(&self, key: &SecretString) -> anyhow::Result<KeyEncryptionKey> {
        let sealing = KeyEncryptionKey::from_text(key).context("identity.key_encryption_key")?;
        let other = &self.settings.identity.other_key_encryption_key;
        Ok(match other {
            None => sealing,
            Some(other) => {
                let other = KeyEncryptionKey::from_text(other);
                sealing.also_opening(other.context("identity.other_key_encryption_key")?)
            }
        })
    }

    /// How identity's mails leave; into files beside an embedded store, unless told otherwise.
    fn mail(&self, store: &Store) -> anyhow::Result<Option<MailDependencies>> {
        let settings = &self.settings.identity;
        let folder = self.settings.folder().map(|folder| folder.join(MAILS));
        let Some(mailer) = mail::open(&settings.mail, folder.as_deref())? else {
            if self.options.purpose == Purpose::Run {
                tracing::warn!(
                    "no mails are sent: set identity.mail.url, or nobody can prove an address or choose a new password"
                );
            }
            return Ok(None);
        };
        Ok(Some(MailDependencies {
            mailer: Arc::new(Counted::new(mailer, self.metrics)),
            pages: MailPages {
                verification: settings.pages.verification.clone(),
                reset: settings.pages.reset.clone(),
            },
            broker: self.broker.subscriber(),
            consumers: Arc::clone(&store.consumers),
            asks: self.broker.publisher(),
            metrics: self.metrics.clone(),
        }))
    }
}

impl IdentityPart {
    /// Where identity is elsewhere, the first module tells how it is called and what becomes of its keys.
    pub(crate) fn watched_by(&self, modules: &mut Vec<Module>) {
        let Some(elsewhere) = &self.elsewhere else {
            return;
        };
        if modules.is_empty() {
            return;
        }
        let (asked, followed) = (Arc::clone(elsewhere), Arc::clone(elsewhere));
        let mut first = modules.remove(0);
        if let Some(policy) = elsewhere.policy().cloned() {
            first = first.policy(policy);
        }
        let first = first
            .degraded_unless("identity", move || {
                let identity = Arc::clone(&asked);
                async move { identity.check().await }
            })
            .worker_in_every_role("identity-keys", |stop| {
                followed.follow_keys(RELOAD_EVERY.unsigned_abs(), stop)
            });
        modules.insert(0, first);
    }
}
