//! What payments works with, and who is let in.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use shop_payments::Dependencies;
use shop_sandbox::Running as Sandbox;
use stanchion::auth::policy::PolicyFile;
use stanchion::auth::{Permissions, Principal};
use stanchion::client::ClientSettings;
use stanchion::eventsourcing::MemoryVault;
use stanchion::messaging::{ConsumerLimits, MemoryBroker};
use stanchion::server::{Authenticate, AuthenticateError};
use stanchion::sql::{
    DatabaseSettings, DatabaseUrl, Db, Mode, SqlConsumerStore, SqlInbox, SqlLog, migrate,
};
use stanchion::telemetry::Metrics;
use tempfile::TempDir;
use uuid::Uuid;

pub(super) async fn dependencies(
    folder: &TempDir,
    broker: &Arc<MemoryBroker>,
    sandbox: &Sandbox,
    vault: &Arc<MemoryVault>,
) -> Dependencies {
    let url = DatabaseUrl::sqlite(folder.path());
    let db = Db::open(&url, "payments", &DatabaseSettings::default())
        .await
        .unwrap();
    migrate(&db, &[shop_payments::migrations()], Mode::Auto)
        .await
        .unwrap();
    Dependencies {
        log: Arc::new(SqlLog::open(db.clone()).await.unwrap()),
        inbox: Arc::new(SqlInbox::new(db.clone())),
        consumers: Arc::new(SqlConsumerStore::new(db.clone())),
        db,
        broker: broker.clone(),
        asks: None,
        limits: ConsumerLimits::default(),
        metrics: Metrics::default(),
        vault: vault.clone(),
        policies: Arc::new(policies()),
        gateway_url: sandbox.url.clone(),
        gateway_key: sandbox.key.clone(),
        gateway_client: impatient(),
        webhook_secret: Some(sandbox.webhook_secret.clone()),
    }
}

fn policies() -> PolicyFile {
    let words = shop_payments::vocabulary();
    PolicyFile::parse("payments", shop_payments::POLICIES, &words).unwrap()
}

/// A token is the user's id and a scope, with a slash between them.
pub(super) struct TestTokens;

#[async_trait]
impl Authenticate for TestTokens {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        let (id, scope) = token.split_once('/').ok_or(AuthenticateError::Invalid)?;
        let id = Uuid::parse_str(id).map_err(|_| AuthenticateError::Invalid)?;
        let permissions = Permissions::parse(scope).map_err(|_| AuthenticateError::Invalid)?;
        Ok(Principal::user(id, id, permissions))
    }
}

/// A test does not wait five seconds until an open breaker asks again.
fn impatient() -> ClientSettings {
    let mut settings = ClientSettings::default();
    settings.policy.breaker.open = Duration::from_millis(200);
    settings
}
