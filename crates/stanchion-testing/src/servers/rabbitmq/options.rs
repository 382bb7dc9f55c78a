//! How a throwaway RabbitMQ is started.

use std::path::Path;

use super::{PASSWORD, USER};

/// How a throwaway server is started.
#[derive(Debug, Clone, Default)]
pub struct RabbitMqOptions {
    tls: Option<RabbitMqTls>,
}

/// A second listener with TLS; everything as PEM.
#[derive(Debug, Clone)]
pub struct RabbitMqTls {
    /// The authority that clients' certificates are of.
    pub ca: String,
    /// The server's certificate, for `localhost`.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// Refuses clients without a certificate.
    pub clients_verified: bool,
}

impl RabbitMqOptions {
    /// Listens with TLS too.
    #[must_use]
    pub fn tls(mut self, tls: RabbitMqTls) -> Self {
        self.tls = Some(tls);
        self
    }

    pub(super) fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Name and text of each file the server reads.
    pub(super) fn files(&self, folder: &Path, plain: u16, tls: u16) -> Vec<(String, String)> {
        let mut settings = format!(
            "listeners.tcp.1 = 127.0.0.1:{plain}\n\
             default_user = {USER}\n\
             default_pass = {PASSWORD}\n\
             loopback_users = none\n\
             log.console = true\n\
             log.console.level = info\n\
             log.file = false\n\
             disk_free_limit.absolute = 1GB\n\
             raft.wal_max_size_bytes = 67108864\n"
        );
        let mut files = Vec::new();
        if let Some(given) = &self.tls {
            let path = |name: &str| folder.join(name).display().to_string();
            let verified = given.clients_verified;
            let verify = if verified {
                "verify_peer"
            } else {
                "verify_none"
            };
            settings += &format!(
                "listeners.ssl.1 = 127.0.0.1:{tls}\n\
                 ssl_options.cacertfile = {}\n\
                 ssl_options.certfile = {}\n\
                 ssl_options.keyfile = {}\n\
                 ssl_options.verify = {verify}\n\
                 ssl_options.fail_if_no_peer_cert = {verified}\n",
                path("ca.pem"),
                path("certificate.pem"),
                path("key.pem"),
            );
            let pem = [
                ("ca.pem", &given.ca),
                ("certificate.pem", &given.certificate),
                ("key.pem", &given.key),
            ];
            files.extend(pem.map(|(name, text)| (name.to_owned(), text.clone())));
        }
        files.push(("rabbitmq.conf".to_owned(), settings));
        files
    }
}
