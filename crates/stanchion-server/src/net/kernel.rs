//! What the kernel looks after on each connection: set on the socket that accepts them, which hands it on.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpListener;

/// What the kernel may keep of the answers on a connection, beside what is under way to the client.
///
/// By itself it takes up to 4 MB, also of what nobody takes, and keeps it when we have left: some hundred clients who ask
/// and do not read use up what it has for all connections of the machine (`net.ipv4.tcp_mem`).
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// When a client is taken for gone that says nothing: its machine lost power, or whoever is between forgot the connection.
///
/// The kernel asks it, and not PING of HTTP/2: hyper's costs each request two to four looks at the clock, and the kernel's
/// is there for HTTP/1.1 and for other protocols as well. It cannot tell a client that hangs from one that has nothing to
/// say, nor can PING where a client's library answers it; such a one is bounded by the deadlines of its calls, and event
/// streams by `event_stream_timeout`: once what it asked for is over its connection is idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone {
    /// So long it says nothing before it is asked.
    pub(crate) silent: Duration,
    /// How often it is asked then.
    pub(crate) every: Duration,
    /// How often it is asked in vain. Linux goes on asking for as long as `unheard`, where that is longer.
    pub(crate) asked: u32,
    /// How long it may leave what was sent to it without a word, or its window shut for the rest of it (Linux; elsewhere the
    /// kernel's own, which is minutes).
    pub(crate) unheard: Duration,
}

impl Gone {
    /// Where answers that are not taken may wait for so long: nobody is gone before.
    pub(crate) fn where_writes_take(write_max: Duration) -> Self {
        let (silent, every, asked) = (Duration::from_secs(30), Duration::from_secs(10), 3);
        Self {
            silent,
            every,
            asked,
            unheard: write_max.max(silent + every * asked),
        }
    }
}

/// Each connection has these bounds from the socket that accepts it.
pub(crate) fn look_after(listener: &TcpListener, gone: Gone) {
    if let Err(error) = bound(listener, gone) {
        tracing::warn!(%error, "the kernel looks after connections less than it should: who is gone is noticed late");
    }
}

/// All of them, whichever this kernel lacks.
fn bound(listener: &TcpListener, gone: Gone) -> io::Result<()> {
    let socket = SockRef::from(listener);
    let keepalive = TcpKeepalive::new()
        .with_time(gone.silent)
        .with_interval(gone.every);
    let asked = socket.set_tcp_keepalive(&keepalive.with_retries(gone.asked));
    #[cfg(target_os = "linux")]
    {
        let unsent = socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
        let unheard = socket.set_tcp_user_timeout(Some(gone.unheard));
        unsent.and(unheard).and(asked)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = gone.unheard;
        asked
    }
}

// In two lines: of another form clippy does not see that these are tests, which may unwrap.
#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use socket2::SockFilter;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    /// The kernel's clock runs by itself: so long is waited for it at most.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Both ends of a connection whose client is looked for after a second.
    async fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = Gone {
            silent: SECOND,
            every: SECOND,
            asked: 1,
            unheard: SECOND * 2,
        };
        look_after(&listener, gone);
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    /// From now on nothing reaches the client, and its kernel confirms nothing.
    fn vanish(client: &TcpStream) {
        // Return 0: no byte of any packet is kept.
        let nothing = [SockFilter::new(0x06, 0, 0, 0)];
        SockRef::from(client).attach_filter(&nothing).unwrap();
    }

    #[tokio::test]
    async fn a_client_that_is_gone_is_noticed_with_and_without_an_answer_under_way() {
        for is_answered in [false, true] {
            let (client, mut server) = connection().await;
            vanish(&client);
            if is_answered {
                server.write_all(b"an answer").await.unwrap();
            }
            let noticed = timeout(PATIENCE, server.read(&mut [0])).await.unwrap();
            let error = noticed.expect_err("it has said nothing");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{is_answered}");
        }
    }

    #[tokio::test]
    async fn a_client_that_is_there_may_be_silent() {
        let (client, mut server) = connection().await;
        // Longer than somebody who is gone is waited for.
        let silent = timeout(SECOND * 4, server.read(&mut [0])).await;
        assert!(silent.is_err(), "{silent:?}");
        drop(client);
    }
}
