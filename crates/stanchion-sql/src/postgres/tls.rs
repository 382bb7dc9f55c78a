use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use stanchion_config::{PemError, PemFile};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::SqlError;

/// How connections of a pool are encrypted.
#[derive(Clone)]
pub(super) enum Tls {
    Plain,
    Rustls(MakeRustlsConnect),
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Rustls(_) => "rustls",
        })
    }
}

impl Tls {
    /// TLS when the URL asks for it; the server's certificate is always verified.
    pub(super) fn of(
        config: &tokio_postgres::Config,
        roots: Option<&str>,
    ) -> Result<Self, SqlError> {
        match config.get_ssl_mode() {
            SslMode::Require => Ok(Self::Rustls(MakeRustlsConnect::new(client(roots)?))),
            _ => Ok(Self::Plain),
        }
    }
}

fn client(roots_file: Option<&str>) -> Result<ClientConfig, SqlError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SqlError::Unavailable(format!("TLS: {error}")))?;
    Ok(builder
        .with_root_certificates(roots(roots_file)?)
        .with_no_client_auth())
}

fn roots(file: Option<&str>) -> Result<RootCertStore, SqlError> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    // A file of none would be told as a server that nobody knows, connection after connection.
    let failed = |error: PemError| SqlError::Unavailable(error.to_string());
    let file = PemFile::read("sslrootcert", file.as_ref()).map_err(failed)?;
    for certificate in file.certificates().map_err(failed)? {
        let added = roots.add(certificate);
        added.map_err(|error| failed(file.wrong(&error)))?;
    }
    Ok(roots)
}
