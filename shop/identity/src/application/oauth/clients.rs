use stanchion::auth::oauth::{OpaqueToken, Prefix};
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::{clock, id};

use crate::application::work::{Work, retried};
use crate::application::{Failure, Identity, Refusal};
use crate::domain::client::ClientId;
use crate::domain::event::ClientChange;
use crate::domain::{ClientPlan, Event, RegisteredClient};

/// The most clients that are listed.
const LISTED_MAX: i64 = 1_000;

impl Identity {
    /// Registers a client whose plan was checked; a confidential one comes with its secret, shown once.
    pub(crate) async fn register_client(
        &self,
        plan: ClientPlan,
        metadata: &Metadata,
    ) -> Result<(RegisteredClient, Option<OpaqueToken>), Failure> {
        let secret = plan
            .confidential
            .then(|| OpaqueToken::generate(Prefix::CLIENT_SECRET));
        let mut client = RegisteredClient::register(plan, ClientId(id::new_v7()), clock::now());
        client.secret = secret.as_ref().map(OpaqueToken::digest);
        retried(|| self.create_client(&client, metadata)).await?;
        self.oauth.forget_client(client.id);
        Ok((client, secret))
    }

    pub(crate) async fn list_clients(&self) -> Result<Vec<RegisteredClient>, Failure> {
        self.oauth.clients.list(&self.db, LISTED_MAX).await
    }

    /// Disables a client, whose tokens count for nothing at once here and within a second elsewhere; or enables it.
    pub(crate) async fn set_client_enabled(
        &self,
        client: ClientId,
        enabled: bool,
        metadata: &Metadata,
    ) -> Result<RegisteredClient, Failure> {
        let change = match enabled {
            true => ClientChange::Enabled,
            false => ClientChange::Disabled,
        };
        let event = Event::ClientChanged {
            client_id: client,
            change,
        };
        retried(|| async {
            let (mut work, now) = (Work::begin(&self.db, metadata), clock::now());
            let since = (!enabled).then_some(now);
            let clients = &self.oauth.clients;
            if !clients
                .set_disabled(work.rows(), client, since, now)
                .await?
            {
                return Err(Refusal::ClientNotFound.into());
            }
            work.record(&event)?;
            work.commit().await
        })
        .await?;
        self.changed_client(client).await
    }

    /// Gives a confidential client another secret; the former one is worth nothing from then on.
    pub(crate) async fn rotate_client_secret(
        &self,
        client: ClientId,
        metadata: &Metadata,
    ) -> Result<(RegisteredClient, OpaqueToken), Failure> {
        let secret = OpaqueToken::generate(Prefix::CLIENT_SECRET);
        let event = Event::ClientChanged {
            client_id: client,
            change: ClientChange::SecretRotated,
        };
        let digest = secret.digest();
        retried(|| async {
            let (mut work, now) = (Work::begin(&self.db, metadata), clock::now());
            let clients = &self.oauth.clients;
            if !clients
                .set_secret(work.rows(), client, &digest, now)
                .await?
            {
                return Err(Refusal::ClientNotFound.into());
            }
            work.record(&event)?;
            work.commit().await
        })
        .await?;
        Ok((self.changed_client(client).await?, secret))
    }

    async fn create_client(
        &self,
        client: &RegisteredClient,
        metadata: &Metadata,
    ) -> Result<(), Failure> {
        let mut work = Work::begin(&self.db, metadata);
        self.oauth.clients.create(work.rows(), client).await?;
        work.record(&Event::ClientRegistered {
            client_id: client.id,
        })?;
        work.commit().await.map(drop)
    }

    async fn changed_client(&self, client: ClientId) -> Result<RegisteredClient, Failure> {
        self.oauth.forget_client(client);
        self.live.forget_client(client);
        let found = self.oauth.clients.find(&self.db, client).await?;
        Ok(found.ok_or(Refusal::ClientNotFound)?)
    }
}
