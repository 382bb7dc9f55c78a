use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use stanchion::runtime::task::{self, Task};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::cut::{CuttableListener, Scissors};
use crate::gateway::Gateway;
use crate::http::{Wire, router};
use crate::knobs::{Chances, Knobs};
use crate::store::Store;
use crate::webhook::Courier;

/// How long calls under way may take at a stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A payment gateway to be started.
#[derive(Debug, Clone, Copy)]
pub struct Sandbox;

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its key goes over the wire in clear, so it stays on this machine.
    #[error("the sandbox listens on loopback addresses only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error("the sandbox cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// Its database cannot be opened.
    #[error("the sandbox's database: {0}")]
    Database(#[from] stanchion::sql::SqlError),
    /// No client for webhooks can be made.
    #[error("the sandbox's webhook client: {0}")]
    Client(#[from] reqwest::Error),
    /// The knobs are out of range.
    #[error("the sandbox's knobs: {0}")]
    Knobs(&'static str),
}

/// A sandbox that runs. Dropping it stops it without waiting; [`stop`](Self::stop) waits.
#[must_use = "a sandbox that is dropped stops"]
pub struct Running {
    /// Where it is, such as `http://127.0.0.1:49152`.
    pub url: String,
    /// The key callers send as bearer token.
    pub key: SecretString,
    /// What its webhooks are signed with.
    pub webhook_secret: SecretString,
    gateway: Arc<Gateway>,
    chances: Arc<Chances>,
    webhook_url: watch::Sender<Option<String>>,
    stop: CancellationToken,
    tasks: Vec<Task<()>>,
}

impl Sandbox {
    /// Starts a sandbox in this process; it accepts calls when this returns.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(settings: Settings) -> Result<Running, StartError> {
        if !settings.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(settings.listen));
        }
        if let Some(problem) = settings.knobs.problem() {
            return Err(StartError::Knobs(problem));
        }
        let cannot_listen = |error| StartError::Listen(settings.listen, error);
        let listener = TcpListener::bind(settings.listen)
            .await
            .map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let store = Store::open(&settings).await?;
        let key = store.secret("key", settings.key.as_ref(), "sk_test_");
        let key = key.await?;
        let secret = store.secret("webhook", settings.webhook_secret.as_ref(), "whsec_");
        let webhook_secret = secret.await?;
        let (webhook_url, url) = watch::channel(settings.webhook_url);
        let mut running = Running {
            url: format!("http://{address}"),
            key,
            webhook_secret,
            gateway: Arc::new(Gateway::new(store)),
            chances: Arc::new(Chances::new(settings.knobs)),
            webhook_url,
            stop: CancellationToken::new(),
            tasks: Vec::new(),
        };
        running.spawn(listener, url)?;
        Ok(running)
    }
}

impl Running {
    /// Sends webhooks to that URL from now on, those that waited for one too.
    pub fn deliver_to(&self, url: impl Into<String>) {
        self.webhook_url.send_replace(Some(url.into()));
    }

    /// Makes other things go wrong from now on, as `POST /knobs` does.
    ///
    /// # Errors
    /// What is out of range.
    pub fn set_knobs(&self, knobs: Knobs) -> Result<(), StartError> {
        if let Some(problem) = knobs.problem() {
            return Err(StartError::Knobs(problem));
        }
        self.chances.set(knobs);
        Ok(())
    }

    /// Lets calls under way end, at most 5 seconds, and closes the database.
    pub async fn stop(mut self) {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            if let Ok(Err(error)) = tokio::time::timeout(STOP_WITHIN, task).await {
                tracing::warn!(%error, "the sandbox did not stop as it should");
            }
        }
        self.gateway.store.close().await;
    }

    fn spawn(
        &mut self,
        listener: TcpListener,
        url: watch::Receiver<Option<String>>,
    ) -> Result<(), StartError> {
        let wire = Wire {
            gateway: Arc::clone(&self.gateway),
            chances: Arc::clone(&self.chances),
            key: self.key.clone(),
        };
        let courier = Courier {
            gateway: Arc::clone(&self.gateway),
            secret: self.webhook_secret.clone(),
            client: Courier::client()?,
            url,
        };
        let stop = self.stop.clone();
        let service = router(wire).into_make_service_with_connect_info::<Scissors>();
        let serving = async move {
            let server = axum::serve(CuttableListener(listener), service)
                .with_graceful_shutdown(stop.cancelled_owned());
            if let Err(error) = server.await {
                tracing::error!(%error, "the sandbox stopped serving");
            }
        };
        self.tasks = vec![
            task::spawn("sandbox-server", serving),
            task::spawn("sandbox-webhooks", courier.run(self.stop.clone())),
        ];
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
