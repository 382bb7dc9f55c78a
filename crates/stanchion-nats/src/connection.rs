//! The one connection of a process, which comes back by itself.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use bytes::Bytes;
use futures_util::future::join_all;
use percent_encoding::percent_decode_str;
use stanchion_config::{ExposeSecret, PemError, PemFile};
use stanchion_messaging::BrokerError;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::metrics::NatsMetrics;
use super::names::Names;
use super::{NatsError, NatsSettings};

/// A silent connection is found out by so many missed answers to a ping: two.
const PING: Duration = Duration::from_secs(5);
/// How long one attempt to connect may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The longest wait between two attempts.
const RECONNECT_WAIT_MAX: Duration = Duration::from_secs(1);
/// Commands that wait for the connection; beyond that their callers do.
const COMMANDS_MAX: usize = 512;
/// Messages that wait in a subscription. No more than two a partition are ever asked for.
const INCOMING_MAX: usize = 256;
/// How often a wait looks whether the connection is there, should an event be late.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) context: Context,
    pub(crate) names: Names,
    pub(crate) settings: NatsSettings,
    pub(crate) metrics: NatsMetrics,
    /// Which connection this is: 0 before the first.
    epoch: watch::Receiver<u64>,
    /// It was said what the server keeps otherwise than it is set here.
    pub(crate) said_differs: OnceLock<()>,
}

impl Connection {
    /// Begins to connect and does not wait for it.
    pub(crate) async fn open(
        settings: &NatsSettings,
        metrics: NatsMetrics,
    ) -> Result<Self, NatsError> {
        let url = settings.url.as_ref().ok_or(NatsError::NoUrl)?;
        let servers = servers(url.expose_secret())?;
        let (connected, epoch) = watch::channel(0);
        let (gauge, counter) = (metrics.connected.clone(), metrics.connections.clone());
        let connected = Arc::new(connected);
        let options = options(settings, &servers).await?;
        let options = options.event_callback(move |event| {
            match event {
                Event::Connected => {
                    gauge.set(1);
                    counter.inc();
                    connected.send_modify(|epoch| *epoch += 1);
                }
                Event::Disconnected | Event::Closed => {
                    gauge.set(0);
                    tracing::warn!("disconnected from NATS");
                }
                other => tracing::info!(event = %other, "NATS"),
            }
            std::future::ready(())
        });
        let client = options
            .connect(servers)
            .await
            .map_err(|error| NatsError::Settings(error.kind().to_string()))?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(settings.publish_timeout);
        Ok(Connection {
            client,
            context,
            names: Names::new(&settings.prefix),
            settings: settings.clone(),
            metrics,
            epoch,
            said_differs: OnceLock::new(),
        })
    }

    pub(crate) fn epoch(&self) -> watch::Receiver<u64> {
        self.epoch.clone()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Waits until connected, no longer than a publish may take. What was given to the client earlier would leave later,
    /// whatever became of it meanwhile.
    pub(crate) async fn connected(&self) -> Result<(), BrokerError> {
        if self.is_connected() {
            return Ok(());
        }
        let end = Instant::now() + self.settings.publish_timeout;
        let mut epoch = self.epoch.clone();
        loop {
            // What was told before would end each wait at once.
            epoch.borrow_and_update();
            if self.is_connected() {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(BrokerError("not connected to NATS".into()));
            }
            if let Ok(Err(ended)) = timeout(LOOK, epoch.changed()).await {
                return Err(unavailable(ended));
            }
        }
    }

    /// Tells the server something about each of these deliveries, and waits until it has heard.
    pub(crate) async fn tell(
        &self,
        replies: &[async_nats::Subject],
        what: &'static [u8],
    ) -> Result<(), BrokerError> {
        self.connected().await?;
        let asked = replies.iter().map(|reply| {
            let heard = self.client.request(reply.clone(), Bytes::from_static(what));
            timeout(self.settings.publish_timeout, heard)
        });
        for heard in join_all(asked).await {
            match heard {
                Ok(Ok(_heard)) => {}
                Ok(Err(error)) => return Err(unavailable(error)),
                Err(_elapsed) => return Err(BrokerError("NATS does not answer".into())),
            }
        }
        Ok(())
    }
}

pub(crate) fn unavailable(error: impl std::fmt::Display) -> BrokerError {
    BrokerError(error.to_string())
}

fn servers(urls: &str) -> Result<Vec<ServerAddr>, NatsError> {
    let parsed = urls.split(',').map(|url| url.trim().parse());
    let parsed: Result<Vec<ServerAddr>, _> = parsed.collect();
    // The whole error may show the URL, and with it a password.
    parsed.map_err(|_| NatsError::Settings("a URL is malformed".into()))
}

async fn options(
    settings: &NatsSettings,
    servers: &[ServerAddr],
) -> Result<ConnectOptions, NatsError> {
    let mut options = ConnectOptions::new()
        .retry_on_initial_connect()
        .connection_timeout(CONNECT_MAX)
        .request_timeout(Some(settings.publish_timeout))
        .ping_interval(PING)
        .client_capacity(COMMANDS_MAX)
        .subscription_capacity(INCOMING_MAX)
        .reconnect_delay_callback(reconnect_wait);
    let unusable = |error: PemError| NatsError::Settings(error.to_string());
    if let Some(roots) = &settings.tls_roots {
        // The client reads files by itself whenever it connects, and says of a wrong one that nobody is there.
        let read = PemFile::read("tls_roots", roots).and_then(|file| file.certificates());
        read.map_err(unusable)?;
        options = options
            .add_root_certificates(roots.clone())
            .require_tls(true);
    }
    match (&settings.tls_certificate, &settings.tls_key) {
        (Some(certificate), Some(key)) => {
            let read = PemFile::read("tls_certificate", certificate);
            read.and_then(|file| file.certificates())
                .map_err(unusable)?;
            let read = PemFile::read("tls_key", key).and_then(|file| file.key());
            read.map_err(unusable)?;
            options = options
                .add_client_certificate(certificate.clone(), key.clone())
                .require_tls(true);
        }
        (None, None) => {}
        _ => return Err(NatsError::Settings("a certificate needs its key".into())),
    }
    // The client takes them apart and then leaves them out.
    let user = servers.iter().find_map(|server| {
        let password = server.password().unwrap_or_default();
        Some((decoded(server.username()?), decoded(password)))
    });
    if let Some((user, password)) = user {
        options = options.user_and_password(user, password);
    }
    if let Some(token) = &settings.token {
        options = options.token(token.expose_secret().to_owned());
    }
    if let Some(seed) = &settings.nkey_seed {
        options = options.nkey(seed.expose_secret().to_owned());
    }
    if let Some(file) = &settings.credentials {
        let read = options.credentials_file(file).await;
        options = read.map_err(|error| NatsError::Settings(format!("credentials: {error}")))?;
    }
    Ok(options)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The first attempt at once, then a wait that doubles; jitter, so that not all services come at the same moment.
fn reconnect_wait(attempts: usize) -> Duration {
    const FIRST: Duration = Duration::from_millis(20);
    let doublings = attempts.saturating_sub(1).min(10) as u32;
    let wait = FIRST.saturating_mul(1 << doublings).min(RECONNECT_WAIT_MAX);
    if attempts <= 1 {
        return Duration::ZERO;
    }
    wait / 2 + stanchion_runtime::random::jitter(wait / 2)
}
