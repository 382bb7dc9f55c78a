//! TLS towards the broker.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

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
    let chain = certificates("certificate", chain)?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| format!("tls.key: {}: {error}", key.display()))?;
    let config = builder.with_client_auth_cert(chain, key);
    config
        .map(Arc::new)
        .map_err(|error| format!("tls.certificate and tls.key: {error}"))
}

fn certificates(name: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("tls.{name}: {}: {error}", path.display());
    let found = CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))?;
    let found: Result<Vec<_>, _> = found.collect();
    let found = found.map_err(|error| failed(&error))?;
    if found.is_empty() {
        return Err(failed(&"no certificate in PEM form"));
    }
    Ok(found)
}

fn given(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for root in certificates("roots", path)? {
        let added = roots.add(root);
        added.map_err(|error| format!("tls.roots: {error}"))?;
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
