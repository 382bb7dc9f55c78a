use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use stanchion_runtime::task;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{AsyncMessage, Client, Connection, Error, NoTls};

use super::sql_error;
use super::tls::Tls;
use crate::SqlError;

/// The longest time one attempt to connect may take: the next one may find the server that took over.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// The longest time until a connection can be used, over all hosts of the URL: one that takes connections may still say
/// nothing.
const READY_MAX: Duration = Duration::from_secs(10);

/// After this a connection whose packets nobody acknowledges is dead.
pub(super) const SILENT_MAX: Duration = Duration::from_secs(5);

/// A connection outside of the pool, for one long-lived user. Dropped, it is closed.
pub(crate) struct Lone {
    /// Shared by the packets that are under way.
    pub(crate) client: Arc<Client>,
    task: task::Task<()>,
    open: Arc<AtomicUsize>,
}

/// What the server says by itself: notifications, notices.
pub(crate) type Messages = BoxStream<'static, Result<AsyncMessage, Error>>;

impl Lone {
    /// Drives the connection on the current runtime; `told` gets what the server says by itself.
    fn start(
        client: Client,
        mut messages: Messages,
        mut told: impl FnMut(AsyncMessage) + Send + 'static,
        open: Arc<AtomicUsize>,
    ) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        let task = task::spawn("postgres-lone", async move {
            while let Some(Ok(message)) = messages.next().await {
                told(message);
            }
        });
        Self {
            client: Arc::new(client),
            task,
            open,
        }
    }

    /// Ends once the connection does.
    pub(crate) async fn ended(&mut self) {
        let _ = (&mut self.task).await;
    }
}

impl Drop for Lone {
    fn drop(&mut self) {
        // The socket closes with the task: what waits on it fails at once.
        self.task.abort();
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How connections outside of the pool are made.
pub(crate) struct Dial {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: Tls,
    /// What each new connection is told.
    pub(super) session: Arc<str>,
    /// How many there are.
    pub(super) open: Arc<AtomicUsize>,
}

impl Dial {
    /// Connects, with the session's settings, within 10 s; `told` gets what the server says by itself.
    pub(crate) async fn lone(
        &self,
        purpose: &str,
        told: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Result<Lone, SqlError> {
        let late = |_| Err(SqlError::Unavailable("the server does not answer".into()));
        let made = tokio::time::timeout(READY_MAX, self.connect(purpose, told)).await;
        made.unwrap_or_else(late)
    }

    async fn connect(
        &self,
        purpose: &str,
        told: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Result<Lone, SqlError> {
        let mut config = self.config.clone();
        config.connect_timeout(CONNECT_MAX);
        config.tcp_user_timeout(SILENT_MAX);
        config.keepalives_idle(SILENT_MAX);
        let name = config.get_application_name().unwrap_or("stanchion");
        let name = format!("{name}/{purpose}");
        config.application_name(name);
        let connected = match &self.tls {
            Tls::Plain => {
                let made = config.connect(NoTls).await;
                made.map(|(client, connection)| (client, messages(connection)))
            }
            Tls::Rustls(tls) => {
                let made = config.connect(tls.clone()).await;
                made.map(|(client, connection)| (client, messages(connection)))
            }
        };
        let (client, messages) = connected.map_err(|error| sql_error(&error, "connect"))?;
        let lone = Lone::start(client, messages, told, Arc::clone(&self.open));
        let set_up = lone.client.batch_execute(&self.session).await;
        set_up.map_err(|error| sql_error(&error, "set"))?;
        Ok(lone)
    }
}

fn messages<S, T>(mut connection: Connection<S, T>) -> Messages
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    stream::poll_fn(move |context| connection.poll_message(context)).boxed()
}
