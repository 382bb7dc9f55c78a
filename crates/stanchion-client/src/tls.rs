//! TLS towards a dependency. A new connection uses the files of now; those that are there keep what they agreed on.

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use stanchion_config::PemFile;
use tokio_rustls::TlsConnector;

use crate::target::Target;
use crate::{ClientTlsSettings, SetupError};

/// The certificates of a client.
pub(crate) struct Tls {
    settings: ClientTlsSettings,
    name: ServerName<'static>,
    protocols: Vec<Vec<u8>>,
    now: RwLock<Loaded>,
}

/// What the files said when they were read last.
struct Loaded {
    config: Arc<ClientConfig>,
    files: Files,
}

/// The files as they are.
#[derive(PartialEq, Eq)]
struct Files {
    roots: Option<PemFile>,
    own: Option<(PemFile, PemFile)>,
}

impl Tls {
    /// Reads the files; `None` for a URL without TLS.
    pub(crate) fn of(
        target: &Target,
        settings: &ClientTlsSettings,
        protocols: &[&[u8]],
    ) -> Result<Option<Self>, SetupError> {
        if !target.tls {
            return Ok(None);
        }
        let name = settings.server_name.as_ref().unwrap_or(&target.host);
        let name = ServerName::try_from(name.clone());
        let name = name.map_err(|error| SetupError::Tls(format!("tls.server_name: {error}")))?;
        let protocols: Vec<_> = protocols.iter().map(|name| name.to_vec()).collect();
        let files = Files::read(settings).map_err(SetupError::Tls)?;
        let config = files.load(&protocols).map_err(SetupError::Tls)?;
        Ok(Some(Self {
            settings: settings.clone(),
            name,
            protocols,
            now: RwLock::new(Loaded { config, files }),
        }))
    }

    pub(crate) fn connector(&self) -> (TlsConnector, ServerName<'static>) {
        let config = Arc::clone(&self.now.read().config);
        (TlsConnector::from(config), self.name.clone())
    }

    /// Takes changed files into use. Those that do not fit leave all as it is, and are told of.
    pub(crate) fn refresh(&self) {
        let fresh = Files::read(&self.settings);
        let loaded = fresh.and_then(|files| {
            if files == self.now.read().files {
                return Ok(None);
            }
            let config = files.load(&self.protocols)?;
            Ok(Some(Loaded { config, files }))
        });
        match loaded {
            Ok(None) => {}
            Ok(Some(loaded)) => *self.now.write() = loaded,
            Err(reason) => {
                tracing::warn!(reason, "the certificates of before stay in use");
            }
        }
    }

    /// Whether there are files that can change.
    pub(crate) fn has_files(&self) -> bool {
        self.settings.roots.is_some() || self.settings.certificate.is_some()
    }
}

/// What the files of these settings say now, for connections that name their host each.
pub(crate) fn config(
    settings: &ClientTlsSettings,
    protocols: &[&[u8]],
) -> Result<Arc<ClientConfig>, SetupError> {
    let protocols: Vec<_> = protocols.iter().map(|name| name.to_vec()).collect();
    let files = Files::read(settings).map_err(SetupError::Tls)?;
    files.load(&protocols).map_err(SetupError::Tls)
}

impl Files {
    fn read(settings: &ClientTlsSettings) -> Result<Self, String> {
        let roots = settings.roots.as_deref();
        let own = match (&settings.certificate, &settings.key) {
            (Some(chain), Some(key)) => Some((
                PemFile::read("tls.certificate", chain)?,
                PemFile::read("tls.key", key)?,
            )),
            _ => None,
        };
        Ok(Self {
            roots: roots
                .map(|path| PemFile::read("tls.roots", path))
                .transpose()?,
            own,
        })
    }

    fn load(&self, protocols: &[Vec<u8>]) -> Result<Arc<ClientConfig>, String> {
        let roots = match &self.roots {
            Some(file) => given(file)?,
            None => machine()?,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("tls: {error}"))?
            .with_root_certificates(roots);
        let mut config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let config = builder.with_client_auth_cert(chain.certificates()?, key.key()?);
                config.map_err(|error| format!("tls.certificate and tls.key: {error}"))?
            }
        };
        config.alpn_protocols = protocols.to_vec();
        Ok(Arc::new(config))
    }
}

fn given(file: &PemFile) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
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
