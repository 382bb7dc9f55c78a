//! TLS to the operator's port of a service that has the same settings as this command.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use stanchion_config::PemFile;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::service::AdminSettings;

/// What went wrong on the way.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Agrees on keys with the service, which shows the very certificate that the settings name.
pub(super) async fn agree(
    admin: &AdminSettings,
    address: SocketAddr,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Failure> {
    let config = Arc::new(config(admin)?);
    let name = ServerName::from(address.ip());
    Ok(TlsConnector::from(config).connect(name, stream).await?)
}

fn config(admin: &AdminSettings) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let own = admin.tls.certificate.as_deref().ok_or("no certificate")?;
    let own = PemFile::read("admin.tls.certificate", own)?;
    let shown = own.certificates()?.swap_remove(0);
    let pinned = Arc::new(Pinned {
        shown,
        provider: Arc::clone(&provider),
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(pinned);
    let config = match (&admin.client_certificate, &admin.client_key) {
        (Some(certificate), Some(key)) => {
            let chain = PemFile::read("admin.client_certificate", certificate)?;
            let key = PemFile::read("admin.client_key", key)?;
            builder.with_client_auth_cert(chain.certificates()?, key.key()?)?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(config)
}

/// Trusts one certificate, whatever names and authorities it has: whoever reads the service's settings knows which it
/// shows, and its address is often none of its names.
#[derive(Debug)]
struct Pinned {
    shown: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if end_entity.as_ref() == self.shown.as_ref() {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General(
            "it shows another certificate than admin.tls.certificate; a new one is taken into use within \
             admin.tls.reload_every"
                .into(),
        ))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
