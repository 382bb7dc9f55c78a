use std::net::SocketAddr;

use secrecy::SecretString;
use stanchion::sql::DatabaseUrl;

use crate::Knobs;

/// How a sandbox is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; a loopback address. Default `127.0.0.1:0`, any free port.
    pub listen: SocketAddr,
    /// Where `sandbox.db` is kept; `None` keeps it in a folder that goes away with the process.
    pub database: Option<DatabaseUrl>,
    /// The key callers send as bearer token; made and kept in the database when not given.
    pub key: Option<SecretString>,
    /// What webhooks are signed with; made and kept in the database when not given.
    pub webhook_secret: Option<SecretString>,
    /// Where webhooks go; `None` keeps them until [`Running::deliver_to`](crate::Running::deliver_to).
    pub webhook_url: Option<String>,
    /// Latency, errors and lost answers to begin with; none by default.
    pub knobs: Knobs,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            database: None,
            key: None,
            webhook_secret: None,
            webhook_url: None,
            knobs: Knobs::default(),
        }
    }
}
