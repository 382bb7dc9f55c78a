use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::SignedDuration;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use stanchion_runtime::clock;

/// How long connecting and each read or write may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most of an answer that is read: 4 MiB.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long an answer is read: a stream of events has no end.
const ANSWER_TIME_MAX: SignedDuration = SignedDuration::from_secs(10);

/// One port of the service.
#[derive(Clone)]
pub(super) struct Target {
    host: String,
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    token: Option<String>,
}

/// What it answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// A connection, plain or not.
pub(super) trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

impl Target {
    pub(super) fn new(
        tls: bool,
        host: &str,
        address: SocketAddr,
        roots: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let tls = tls.then(|| config(roots)).transpose()?;
        Ok(Self {
            host: host.to_owned(),
            address,
            tls,
            token: None,
        })
    }

    pub(super) fn with_token(self, token: Option<&str>) -> Self {
        Self {
            token: token.map(str::to_owned),
            ..self
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn get(&self, path: &str) -> anyhow::Result<Reply> {
        self.ask("GET", path, &[])
    }

    /// A request with these headers, and its answer; one connection each.
    pub(super) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Reply> {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nuser-agent: stanchion-doctor\r\n",
            self.host
        );
        if let Some(token) = &self.token {
            request += &format!("authorization: Bearer {token}\r\n");
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        let mut wire = self.connect()?;
        wire.write_all(request.as_bytes())?;
        read(&mut *wire)
    }

    pub(super) fn connect(&self) -> anyhow::Result<Box<dyn Wire>> {
        self.connect_for(PATIENCE)
    }

    /// A connection whose reads wait that long.
    pub(super) fn connect_for(&self, patience: Duration) -> anyhow::Result<Box<dyn Wire>> {
        let tcp = self.tcp()?;
        tcp.set_read_timeout(Some(patience))?;
        let Some(config) = &self.tls else {
            return Ok(Box::new(tcp));
        };
        let name = self
            .host
            .rsplit_once(':')
            .map_or(self.host.as_str(), |(name, _)| name);
        let name = name.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name.clone())
            .with_context(|| format!("{name} is no name of a server"))?;
        let connection = ClientConnection::new(Arc::clone(config), name)?;
        Ok(Box::new(StreamOwned::new(connection, tcp)))
    }

    fn tcp(&self) -> anyhow::Result<TcpStream> {
        let tcp = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        Ok(tcp)
    }
}

/// Whether anybody accepts connections there.
pub(super) fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, PATIENCE).is_ok()
}

/// Certificates of the machine, or of a file.
fn config(roots: Option<&Path>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut store = RootCertStore::empty();
    if let Some(file) = roots {
        let shown = || file.display().to_string();
        for certificate in CertificateDer::pem_file_iter(file).with_context(shown)? {
            store.add(certificate.with_context(shown)?)?;
        }
    } else {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(
        config.with_root_certificates(store).with_no_client_auth(),
    ))
}

/// Reads an answer to its end; one that is cut short, or has no end, counts as far as it came.
pub(super) fn read(wire: &mut dyn Wire) -> anyhow::Result<Reply> {
    let began = clock::now();
    let (mut all, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    while all.len() < ANSWER_BYTES_MAX && clock::now().duration_since(began) < ANSWER_TIME_MAX {
        match wire.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if all.is_empty() => return Err(error.into()),
            Err(_) => break,
        }
        if is_endless(&all) {
            break;
        }
    }
    parsed(&all).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer").into())
}

/// Whether the head says that what follows is a stream: nobody waits for its end.
fn is_endless(all: &[u8]) -> bool {
    let reply = parsed(&all[..all.len().min(16 * 1024)]);
    let kind = reply
        .as_ref()
        .and_then(|reply| reply.header("content-type"));
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

pub(super) fn parsed(all: &[u8]) -> Option<Reply> {
    let end = all.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let first = lines.next()?.strip_prefix("HTTP/1.")?;
    let status = first.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
        .collect();
    let reply = Reply {
        status,
        headers,
        body: Vec::new(),
    };
    let body = &all[end + 4..];
    let chunked = reply
        .header("transfer-encoding")
        .is_some_and(|coding| coding.contains("chunked"));
    let body = if chunked {
        dechunked(body)
    } else {
        body.to_vec()
    };
    Some(Reply { body, ..reply })
}

fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = String::from_utf8_lossy(&rest[..end]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
        let Ok(size) = size else { break };
        let data = &rest[end + 2..];
        if size == 0 || size > data.len() {
            body.extend_from_slice(&data[..size.min(data.len())]);
            break;
        }
        body.extend_from_slice(&data[..size]);
        rest = data.get(size + 2..).unwrap_or_default();
    }
    body
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_chunks_is_put_together_and_one_cut_short_counts_as_far_as_it_came() {
        let reply = parsed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").unwrap();
        assert_eq!((reply.status, reply.text().as_str()), (200, "abcde"));
        let reply =
            parsed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc").unwrap();
        assert_eq!(reply.text(), "abc");
        assert!(parsed(b"SSH-2.0-x\r\n\r\n").is_none());
    }
}
