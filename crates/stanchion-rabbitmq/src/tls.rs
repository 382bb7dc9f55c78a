//! TLS towards the broker.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use stanchion_config::PemFile;

use crate::RabbitMqTlsSettings;

/// What the files say now. Each connection reads them, so that new certificates are used from the next one on.
pub(crate) fn config(settings: &RabbitMqTlsSettings) -> Result<Arc<ClientConfig>, String> {
    let roots = match &settings.roots {
        Some(path) => given(path)?,
        None => machine()?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("tls: {error}"))?
        .with_root_certificates(roots);
    let (Some(chain), Some(key)) = (&settings.certificate, &settings.key) else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let chain = PemFile::read("tls.certificate", chain)?.certificates()?;
    let key = PemFile::read("tls.key", key)?.key()?;
    let config = builder.with_client_auth_cert(chain, key);
    config
        .map(Arc::new)
        .map_err(|error| format!("tls.certificate and tls.key: {error}"))
}

fn given(path: &Path) -> Result<RootCertStore, String> {
    let (file, mut roots) = (PemFile::read("tls.roots", path)?, RootCertStore::empty());
    for root in file.certificates()? {
        roots.add(root).map_err(|error| file.wrong(&error))?;
    }
    Ok(roots)
}

/// What the machine trusts; a certificate of it that cannot be read is left out.
fn machine() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err("tls.roots: this machine trusts nobody; name a file of authorities".into());
    }
    Ok(roots)
}
