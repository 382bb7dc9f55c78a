//! TLS on a port. A new connection gets the certificate of now; those that are there keep theirs.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, version};
use sha2::{Digest, Sha256};
use stanchion_config::PemFile;
use stanchion_runtime::task;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::io::TimedIo;
use super::limits::ConnectionLimits;
use super::named::Named;
use super::validity::not_after;
use crate::metrics::ServerMetrics;
use crate::service::{ClientProof, TlsSettings, TlsVersion};

/// What TLS begins with, and plain HTTP never does.
const HANDSHAKE: u8 = 0x16;
/// What somebody reads who left out the `s`.
const PLAIN_HTTP: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 42\r\n\
    Connection: close\r\n\r\nThis port speaks TLS: ask it by https://.\n";

/// The protocols we offer, the better one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The TLS of a port.
pub(crate) struct Tls {
    settings: TlsSettings,
    now: RwLock<Loaded>,
}

/// What the files said when they were read last.
struct Loaded {
    config: Arc<ServerConfig>,
    fingerprint: [u8; 32],
    /// When the own certificate does, in seconds since 1970.
    expires_at: i64,
}

/// The files as they are.
struct Files {
    chain: PemFile,
    key: PemFile,
    roots: Option<PemFile>,
}

impl Tls {
    /// Reads the files; `None` where TLS is off.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub(crate) async fn of(settings: &TlsSettings) -> Result<Option<Arc<Self>>, String> {
        let Some(files) = Files::read(settings).await? else {
            return Ok(None);
        };
        let now = RwLock::new(files.load(settings)?);
        let settings = settings.clone();
        Ok(Some(Arc::new(Self { settings, now })))
    }

    /// Agrees on keys with whoever connected; why not otherwise, as a metric's label.
    pub(crate) async fn handshake(
        &self,
        mut stream: TcpStream,
        limits: ConnectionLimits,
    ) -> Result<TlsStream<TimedIo>, &'static str> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.now.read().config));
        let agreed = async {
            let mut first = [0];
            match stream.peek(&mut first).await {
                Ok(1) if first[0] == HANDSHAKE => {}
                Ok(1) if first[0].is_ascii_uppercase() => {
                    let _told = stream.write_all(PLAIN_HTTP).await;
                    return Err("plain_http");
                }
                Ok(1) => return Err("not_tls"),
                _ => return Err("gone"),
            }
            let stream = TimedIo::new(stream, limits.write);
            acceptor.accept(stream).await.map_err(|error| why(&error))
        };
        timeout(limits.header, agreed)
            .await
            .unwrap_or(Err("timeout"))
    }

    /// Looks at the files again and again, until told to stop. Files that do not fit leave all as it is.
    pub(crate) async fn keep_fresh(
        &self,
        port: &'static str,
        stop: CancellationToken,
        metrics: ServerMetrics,
    ) {
        let mut refused = None;
        metrics.tls_expires(port, self.now.read().expires_at);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(self.settings.reload_every) => {}
            }
            match self.refresh().await {
                Ok(false) => refused = None,
                Ok(true) => {
                    refused = None;
                    metrics.tls_reloaded(port, "ok");
                    metrics.tls_expires(port, self.now.read().expires_at);
                    tracing::info!(port, "new connections get the new certificate");
                }
                // Told once: files are written one after the other, and somebody may be at it for a while.
                Err(reason) if refused.as_ref() == Some(&reason) => {}
                Err(reason) => {
                    metrics.tls_reloaded(port, "refused");
                    tracing::warn!(port, reason, "the certificate of before stays in use");
                    refused = Some(reason);
                }
            }
        }
    }

    /// Whether there was something new.
    async fn refresh(&self) -> Result<bool, String> {
        let Some(files) = Files::read(&self.settings).await? else {
            return Ok(false);
        };
        if files.fingerprint() == self.now.read().fingerprint {
            return Ok(false);
        }
        let loaded = files.load(&self.settings)?;
        *self.now.write() = loaded;
        Ok(true)
    }
}

impl Files {
    async fn read(settings: &TlsSettings) -> Result<Option<Self>, String> {
        let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) else {
            return Ok(None);
        };
        let roots = match &settings.client_roots {
            Some(roots) => Some(read("client_roots", roots).await?),
            None => None,
        };
        Ok(Some(Self {
            chain: read("certificate", certificate).await?,
            key: read("key", key).await?,
            roots,
        }))
    }

    fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in [Some(&self.chain), Some(&self.key), self.roots.as_ref()] {
            let part = part.map_or(&[][..], PemFile::bytes);
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    fn load(&self, settings: &TlsSettings) -> Result<Loaded, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions: &[&rustls::SupportedProtocolVersion] = match settings.minimum {
            TlsVersion::V12 => &[&version::TLS13, &version::TLS12],
            TlsVersion::V13 => &[&version::TLS13],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| format!("tls: {error}"))?;
        let builder = match &self.roots {
            None => builder.with_no_client_auth(),
            Some(roots) => builder.with_client_cert_verifier(verifier(settings, roots, provider)?),
        };
        let chain = self.chain.certificates()?;
        let expires_at = chain.first().and_then(|own| not_after(own));
        let mut config = builder
            .with_single_cert(chain, self.key.key()?)
            .map_err(|error| format!("tls.certificate and tls.key: {error}"))?;
        if self.roots.is_some() {
            // A session that is resumed would not show its certificate again, which may have run out or be taken back.
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Loaded {
            config: Arc::new(config),
            fingerprint: self.fingerprint(),
            expires_at: expires_at.unwrap_or_default(),
        })
    }
}

/// Who is let in as a client.
fn verifier(
    settings: &TlsSettings,
    roots: &PemFile,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let roots = Arc::new(store(roots)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
    let verifier = match settings.clients {
        ClientProof::Required => verifier,
        ClientProof::Optional => verifier.allow_unauthenticated(),
    };
    let verifier = verifier.build();
    let verifier = verifier.map_err(|error| format!("tls.client_roots: {error}"))?;
    if settings.client_names.is_empty() {
        return Ok(verifier);
    }
    let name = |name: &String| {
        let parsed = ServerName::try_from(name.clone());
        parsed.map_err(|error| format!("tls.client_names: {name}: {error}"))
    };
    let names = settings.client_names.iter().map(name);
    let names = names.collect::<Result<_, _>>()?;
    Ok(Arc::new(Named { verifier, names }))
}

/// A file system may take its time.
async fn read(name: &str, path: &Path) -> Result<PemFile, String> {
    let (setting, path) = (format!("tls.{name}"), path.to_owned());
    let reading = task::blocking("tls-files", move || PemFile::read(&setting, &path));
    let read = reading.await.map_err(|failed| failed.to_string())?;
    Ok(read?)
}

fn store(file: &PemFile) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for root in file.certificates()? {
        roots.add(root).map_err(|error| file.wrong(&error))?;
    }
    Ok(roots)
}

/// Few labels; the rest is in the client's own log.
fn why(error: &io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|error| error.downcast_ref());
    match inner {
        Some(rustls::Error::NoCertificatesPresented) => "no_client_certificate",
        Some(rustls::Error::InvalidCertificate(_)) => "client_certificate",
        Some(rustls::Error::PeerIncompatible(_)) => "incompatible",
        Some(rustls::Error::NoApplicationProtocol) => "protocol",
        Some(rustls::Error::AlertReceived(_)) => "refused_by_client",
        Some(_) => "malformed",
        None => "gone",
    }
}
