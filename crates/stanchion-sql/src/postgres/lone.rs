use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
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
    _open: Open,
}

/// One more connection of those that are open, as long as it lives.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn of(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the server says by itself: notifications, notices.
pub(crate) type Messages = BoxStream<'static, Result<AsyncMessage, Error>>;

impl Lone {
    /// Drives the connection on the current runtime; `told` gets what the server says by itself.
    fn start(
        client: Client,
        mut messages: Messages,
        mut told: impl FnMut(AsyncMessage) + Send + 'static,
        open: Open,
    ) -> Self {
        let task = task::spawn("postgres-lone", async move {
            while let Some(Ok(message)) = messages.next().await {
                told(message);
            }
        });
        Self {
            client: Arc::new(client),
            task,
            _open: open,
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
    }
}

/// A connection's own side, for whoever drives it in its task: without a hop to another one a packet and its answer are
/// that much quicker. It does nothing unless it is polled, and is done when the connection has ended; dropped, the socket
/// closes and what waits on it fails at once.
pub(crate) struct Driver {
    messages: Messages,
    ended: bool,
    _open: Open,
}

impl Driver {
    /// What `work` gives, the connection driven meanwhile.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let done = work.as_mut().poll(context);
            if done.is_pending() {
                let _ = self.drive(context);
            }
            done
        })
        .await
    }

    fn drive(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while !self.ended {
            match self.messages.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => {
                    self.ended = true;
                    // With the connection goes what would have answered: whoever waits for it is told.
                    self.messages = stream::empty().boxed();
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.drive(context)
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

    /// As [`Dial::lone`], for whoever drives the connection.
    pub(crate) async fn driven(&self, purpose: &str) -> Result<(Client, Driver), SqlError> {
        let made = async {
            let (client, messages) = self.reach(purpose).await?;
            let mut driver = Driver {
                messages,
                ended: false,
                _open: Open::of(&self.open),
            };
            let set_up = driver.during(client.batch_execute(&self.session)).await;
            set_up.map_err(|error| sql_error(&error, "set"))?;
            Ok((client, driver))
        };
        let late = |_| Err(SqlError::Unavailable("the server does not answer".into()));
        tokio::time::timeout(READY_MAX, made)
            .await
            .unwrap_or_else(late)
    }

    async fn connect(
        &self,
        purpose: &str,
        told: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Result<Lone, SqlError> {
        let (client, messages) = self.reach(purpose).await?;
        let lone = Lone::start(client, messages, told, Open::of(&self.open));
        let set_up = lone.client.batch_execute(&self.session).await;
        set_up.map_err(|error| sql_error(&error, "set"))?;
        Ok(lone)
    }

    async fn reach(&self, purpose: &str) -> Result<(Client, Messages), SqlError> {
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
        connected.map_err(|error| sql_error(&error, "connect"))
    }
}

fn messages<S, T>(mut connection: Connection<S, T>) -> Messages
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    stream::poll_fn(move |context| connection.poll_message(context)).boxed()
}
