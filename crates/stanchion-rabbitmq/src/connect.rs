//! Connections: each with a deadline, TLS where the URL says so, and a name that operators see.

use std::sync::Arc;

use lapin::tcp::RustlsConnector;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Channel, Connection, ConnectionProperties};
use stanchion_config::ExposeSecret;
use stanchion_messaging::BrokerError;
use tokio::time::timeout;

use crate::{RabbitMqError, RabbitMqSettings, tls};

/// How to connect.
pub(crate) struct Dialer {
    uri: AMQPUri,
    settings: RabbitMqSettings,
}

impl Dialer {
    pub(crate) fn new(settings: &RabbitMqSettings) -> Result<Self, RabbitMqError> {
        let url = settings.url.as_ref().ok_or(RabbitMqError::NoUrl)?;
        // The library would take a literal IPv6 address for `localhost`.
        if url.expose_secret().contains("/[") || url.expose_secret().contains("@[") {
            return Err(RabbitMqError::Url(
                "an IPv6 address; give it a name instead".into(),
            ));
        }
        // Its own text may repeat the URL, and with it the password.
        let mut uri: AMQPUri = url
            .expose_secret()
            .parse()
            .map_err(|_| RabbitMqError::Url("it is no amqp:// or amqps:// URL".into()))?;
        if let Some(user) = &settings.user {
            uri.authority.userinfo.username.clone_from(user);
        }
        if let Some(password) = &settings.password {
            uri.authority.userinfo.password = password.expose_secret().to_owned();
        }
        let heartbeat = u16::try_from(settings.heartbeat.as_secs()).unwrap_or(u16::MAX);
        uri.query.heartbeat = Some(heartbeat.max(1));
        if uri.scheme == AMQPScheme::AMQPS {
            tls::config(&settings.tls).map_err(RabbitMqError::Tls)?;
        }
        Ok(Self {
            uri,
            settings: settings.clone(),
        })
    }

    /// A connection, within the deadline.
    pub(crate) async fn dial(&self, purpose: &str) -> Result<Connection, BrokerError> {
        let name = format!("{} {purpose}", self.settings.prefix);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let runtime = lapin::runtime::default_runtime().map_err(unavailable)?;
        let encrypted = match self.uri.scheme {
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => {
                let config = tls::config(&self.settings.tls).map_err(BrokerError)?;
                let host = &self.uri.authority.host;
                let name = self.settings.tls.server_name.as_ref().unwrap_or(host);
                Some((RustlsConnector::from(config), name.clone()))
            }
        };
        let encrypted = Arc::new(encrypted);
        let connecting = Connection::connector(
            self.uri.clone(),
            runtime,
            async move |uri, runtime| {
                let authority = (uri.authority.host.clone(), uri.authority.port);
                let addresses = runtime.to_socket_addrs(authority);
                let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
                match encrypted.as_ref() {
                    None => Ok(stream),
                    Some((connector, name)) => Ok(stream.into_rustls(connector, name).await?),
                }
            },
            properties,
        );
        let connected = timeout(self.settings.connect_timeout, connecting).await;
        let late = |_| BrokerError("RabbitMQ did not answer in time".into());
        connected.map_err(late)?.map_err(unavailable)
    }
}

/// A new channel that confirms what is published on it.
pub(crate) async fn confirming(connection: &Connection) -> Result<Channel, BrokerError> {
    let channel = connection.create_channel().await.map_err(unavailable)?;
    let options = lapin::options::ConfirmSelectOptions::default();
    channel.confirm_select(options).await.map_err(unavailable)?;
    Ok(channel)
}

/// A connection or channel that failed; its text repeats neither URL nor content.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn unavailable(error: lapin::Error) -> BrokerError {
    BrokerError(format!("RabbitMQ: {error}"))
}
