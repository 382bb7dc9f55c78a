//! A TCP proxy that hurts what passes through it: cut at a byte, stalled, refused, severed.
//!
//! It runs on a thread of its own and knows nothing of the protocol but turns: what a client sends until the server
//! answers is one turn, what the server answers until the client goes on is its reply. A cut within a turn means the
//! server never saw all of it; a cut within the reply means that it did, and that the client cannot know.

mod pump;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
};

use pump::Pass;

/// Where a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// After so many bytes of a client's turn; what comes of a turn sent whole the client never learns.
    Turn(usize),
    /// So many bytes before the end of the packet that completed the pattern: 0 cuts after a turn sent whole.
    Tail(usize),
    /// After so many bytes of the reply to a whole turn.
    Reply(usize),
    /// Before the turn, and nothing is closed: the connection falls silent, as with a cable pulled out.
    Silence,
}

/// What the proxy did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProxyCounts {
    /// Connections passed on.
    pub connections: u64,
    /// Connections cut within a turn.
    pub cut_turns: u64,
    /// Connections cut within a reply.
    pub cut_replies: u64,
}

/// A running proxy; dropped, its connections end.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    // Dropped, it tells the thread to end.
    _alive: mpsc::Sender<()>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    connections: AtomicU64,
    pub(crate) cut_turns: AtomicU64,
    pub(crate) cut_replies: AtomicU64,
}

/// What all connections look at.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) armed: parking::Slot<Armed>,
    pub(crate) weather: watch::Sender<Weather>,
    pub(crate) counts: Counts,
}

/// A cut that waits for its turn.
#[derive(Debug, Clone)]
pub(crate) struct Armed {
    pub(crate) cut: Cut,
    /// A turn that contains these bytes, in any case; empty for any turn.
    pub(crate) pattern: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Nothing passes, nothing is closed.
    pub(crate) stalled: bool,
    /// New connections are closed at once.
    refusing: bool,
    /// Every connection older than this number is closed.
    pub(crate) severed: u64,
    /// Each chunk is held back so long.
    pub(crate) delay: Duration,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1 and passes on to `target`.
    ///
    /// # Errors
    /// When no port or no thread can be had.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            armed: parking::Slot::default(),
            weather: watch::Sender::default(),
            counts: Counts::default(),
        });
        let (alive, ended) = mpsc::channel(1);
        let accepting = accept(listener, target, Arc::clone(&shared), ended);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("fault-proxy".to_owned())
            .spawn(move || runtime.block_on(accepting))
            .context("no thread for the proxy")?;
        Ok(Self {
            address,
            shared,
            _alive: alive,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the next connection whose turn contains `pattern`, in any case, once; `b""` takes any turn. Another cut
    /// that still waits is replaced.
    pub fn cut(&self, cut: Cut, pattern: &[u8]) {
        let pattern = pattern.to_ascii_lowercase();
        self.shared.armed.put(Armed { cut, pattern });
    }

    /// Whether a cut still waits for its turn.
    #[must_use]
    pub fn armed(&self) -> bool {
        self.shared.armed.is_full()
    }

    /// Closes every connection there is.
    pub fn sever(&self) {
        let weather = &self.shared.weather;
        weather.send_modify(|weather| weather.severed += 1);
    }

    /// Holds back everything on every connection, until told otherwise: a half-open network.
    pub fn stall(&self, stalled: bool) {
        let weather = &self.shared.weather;
        weather.send_modify(|weather| weather.stalled = stalled);
    }

    /// Closes new connections at once, until told otherwise.
    pub fn refuse(&self, refusing: bool) {
        let weather = &self.shared.weather;
        weather.send_modify(|weather| weather.refusing = refusing);
    }

    /// Holds back each chunk so long, in both directions; zero for none.
    pub fn delay(&self, delay: Duration) {
        let weather = &self.shared.weather;
        weather.send_modify(|weather| weather.delay = delay);
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> ProxyCounts {
        let counts = &self.shared.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ProxyCounts {
            connections: read(&counts.connections),
            cut_turns: read(&counts.cut_turns),
            cut_replies: read(&counts.cut_replies),
        }
    }
}

async fn accept(
    listener: std::net::TcpListener,
    target: SocketAddr,
    shared: Arc<Shared>,
    mut ended: mpsc::Receiver<()>,
) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let mut connections = JoinSet::new();
    loop {
        let client = tokio::select! {
            _ = ended.recv() => return,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            client = listener.accept() => client,
        };
        let refusing = shared.weather.borrow().refusing;
        if let (Ok((client, _)), false) = (client, refusing) {
            shared.counts.connections.fetch_add(1, Ordering::Relaxed);
            connections.spawn(connect(client, target, Arc::clone(&shared)));
        }
    }
}

/// A server that is not there is a client that is hung up on.
async fn connect(client: TcpStream, target: SocketAddr, shared: Arc<Shared>) {
    if let Ok(server) = TcpStream::connect(target).await {
        // A packet held back for a bigger one would make turns out of one.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        Pass::new(shared).run(client, server).await;
    }
}

/// One value behind a lock that nobody holds for long.
mod parking {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    #[derive(Debug)]
    pub(crate) struct Slot<T>(Mutex<Option<T>>);

    impl<T> Default for Slot<T> {
        fn default() -> Self {
            Self(Mutex::new(None))
        }
    }

    impl<T> Slot<T> {
        pub(crate) fn put(&self, value: T) {
            *self.lock() = Some(value);
        }

        pub(crate) fn is_full(&self) -> bool {
            self.lock().is_some()
        }

        /// Takes it, if it is one that fits.
        pub(crate) fn take_if(&self, fits: impl FnOnce(&T) -> bool) -> Option<T> {
            self.lock().take_if(|value| fits(value))
        }

        fn lock(&self) -> MutexGuard<'_, Option<T>> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}
