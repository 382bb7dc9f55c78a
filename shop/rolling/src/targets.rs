//! Where the service is: its instances, or the proxy before them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// How long an instance is passed over that told its clients to go, or took no connection.
const AVOIDED: Duration = Duration::from_secs(1);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Nobody takes connections for as long as this: then it is an outage.
const OUT_AFTER: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// Instances, taken in turn; those that want no connections come last.
pub(crate) struct Targets {
    all: Vec<Target>,
    turn: AtomicUsize,
}

struct Target {
    address: String,
    avoided_until: Mutex<Option<Instant>>,
}

/// A connection that was opened.
pub(crate) struct Opened {
    pub(crate) stream: TcpStream,
    /// To whom.
    pub(crate) target: usize,
}

impl Targets {
    pub(crate) fn new(addresses: &[String]) -> Self {
        let all = addresses.iter().map(|address| Target {
            address: address.clone(),
            avoided_until: Mutex::default(),
        });
        Self {
            all: all.collect(),
            turn: AtomicUsize::new(0),
        }
    }

    /// A proxy is never restarted: what it does not answer is never excused.
    pub(crate) fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// The name that requests are addressed to.
    pub(crate) fn authority(&self) -> &str {
        &self.all[0].address
    }

    pub(crate) fn avoid(&self, target: usize) {
        *self.all[target].avoided_until.lock() = Some(Instant::now() + AVOIDED);
    }

    /// A new connection to whoever takes one.
    ///
    /// # Errors
    /// Nobody does, for three seconds.
    pub(crate) async fn open(&self) -> Result<Opened, String> {
        let began = Instant::now();
        loop {
            for target in self.in_turn() {
                let connecting = TcpStream::connect(&self.all[target].address);
                if let Ok(Ok(stream)) = timeout(CONNECT_WITHIN, connecting).await {
                    let _ = stream.set_nodelay(true);
                    return Ok(Opened { stream, target });
                }
                self.avoid(target);
            }
            if began.elapsed() > OUT_AFTER {
                return Err("nobody takes connections".into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn in_turn(&self) -> Vec<usize> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut order: Vec<usize> = (0..self.all.len())
            .map(|offset| (first + offset) % self.all.len())
            .collect();
        let now = Instant::now();
        order.sort_by_key(|target| {
            let until = *self.all[*target].avoided_until.lock();
            until.is_some_and(|until| until > now)
        });
        order
    }
}
