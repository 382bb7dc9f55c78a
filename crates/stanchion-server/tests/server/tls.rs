//! TLS on the public port, over real sockets.

mod authority;
mod downgraded;
mod held;
mod named;
mod operator;
mod refused;
mod rotated;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ProtocolVersion};
use stanchion_runtime::task;
use stanchion_server::{
    ClientCertificates, ClientProof, Module, Running, ServerSettings, Service, StartError,
    TlsSettings, TlsVersion,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::shop::settings;
use super::sockets::Line;
use authority::{Authority, Files};

const H1: &[u8] = b"http/1.1";
const H2: &[u8] = b"h2";

async fn start(tls: TlsSettings) -> (Running, SocketAddr) {
    let whoever = get(
        async |certificates: Option<Extension<ClientCertificates>>| match certificates {
            Some(Extension(chain)) => {
                let own = chain.iter().next().unwrap_or_default();
                own.iter().map(|byte| format!("{byte:02x}")).collect()
            }
            None => "nobody".to_owned(),
        },
    );
    let router = axum::Router::new().route("/whoami", whoever);
    let settings = ServerSettings {
        tls,
        header_timeout: Duration::from_millis(500),
        ..settings()
    };
    let service = Service::new(settings).mount(Module::new("tls").http_router(router));
    let running = service.start().await.unwrap();
    let address = running.addresses().public.unwrap();
    (running, address)
}

async fn connect(
    address: SocketAddr,
    client: &Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::clone(client))
        .connect(name, stream)
        .await
}

/// The certificate that a new connection is shown.
async fn shown(address: SocketAddr, client: &Arc<ClientConfig>) -> CertificateDer<'static> {
    let stream = connect(address, client).await.unwrap();
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    chain[0].clone().into_owned()
}

/// Ends with the connection; what goes wrong is told to whoever asks.
fn drive(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
    task::spawn("client", async move { drop(connection.await) });
}

fn request() -> Request<Empty<Bytes>> {
    let request = Request::get("https://localhost/whoami").header("host", "localhost");
    request.body(Empty::new()).unwrap()
}

async fn ask_http1(stream: TlsStream<TcpStream>) -> Response<String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    drive(connection);
    read(sender.send_request(request()).await.unwrap()).await
}

async fn ask_http2(stream: TlsStream<TcpStream>) -> Response<String> {
    let io = TokioIo::new(stream);
    let shaken = http2::handshake(TokioExecutor::new(), io).await;
    let (mut sender, connection) = shaken.unwrap();
    drive(connection);
    read(sender.send_request(request()).await.unwrap()).await
}

async fn read(response: Response<hyper::body::Incoming>) -> Response<String> {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn both_versions_of_tls_and_of_http_are_agreed_on() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let (_running, address) = start(files.settings()).await;
    for (version, agreed) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        for (offered, chosen) in [
            (&[H2, H1][..], Some(H2)),
            (&[H1, H2], Some(H2)),
            (&[H1], Some(H1)),
            (&[], None),
        ] {
            let client = authority.client(&[version], offered, None);
            let stream = connect(address, &client).await.unwrap();
            let session = stream.get_ref().1;
            assert_eq!(session.protocol_version(), Some(agreed));
            assert_eq!(session.alpn_protocol(), chosen, "{offered:?}");
            let answer = match chosen {
                Some(H2) => ask_http2(stream).await,
                _ => ask_http1(stream).await,
            };
            assert_eq!(
                (answer.status().as_u16(), answer.body().as_str()),
                (200, "nobody")
            );
            let told = &answer.headers()["strict-transport-security"];
            assert!(told.to_str().unwrap().contains("max-age="));
        }
    }
    let strange = authority.client(&[&TLS13], &[b"spdy/3"], None);
    assert!(connect(address, &strange).await.is_err());
}

#[tokio::test]
async fn a_changed_certificate_is_taken_into_use_and_no_connection_is_dropped() {
    let authority = Authority::new("ours");
    let (old, new) = (
        authority.identity("localhost"),
        authority.identity("localhost"),
    );
    let files = Files::of(&old);
    let (_running, address) = start(files.settings()).await;
    let client = authority.client(&[&TLS13], &[H1], None);
    assert_eq!(shown(address, &client).await, old.der());
    let stream = connect(address, &client).await.unwrap();
    let (mut kept, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    drive(connection);
    // A connection that asks nothing at all is left soon.
    assert_eq!(kept.send_request(request()).await.unwrap().status(), 200);

    // The certificate is there, its key not yet: nothing changes, and every connection is served.
    files.put("server.pem", &new.chain);
    sleep(Duration::from_millis(350)).await;
    assert_eq!(shown(address, &client).await, old.der());
    files.put("server.key", &new.key);
    let began = Instant::now();
    while shown(address, &client).await != new.der() {
        assert!(began.elapsed() < Duration::from_secs(5), "never taken");
        sleep(Duration::from_millis(20)).await;
    }
    let answer = kept.send_request(request()).await.unwrap();
    assert_eq!(answer.status(), 200, "on the connection of before");

    // Rubbish changes nothing either.
    files.put("server.pem", "-----BEGIN CERTIFICATE-----\nrubbish");
    sleep(Duration::from_millis(350)).await;
    assert_eq!(shown(address, &client).await, new.der());
}

#[tokio::test]
async fn a_client_proves_itself_with_a_certificate_of_the_right_authority() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::of(&ours.identity("localhost"));
    let roots = files.put("clients.pem", &ours.pem());
    let required = TlsSettings {
        client_roots: Some(roots),
        ..files.settings()
    };
    let optional = TlsSettings {
        clients: ClientProof::Optional,
        ..required.clone()
    };
    let (friend, stranger) = (ours.identity("friend"), theirs.identity("friend"));
    let name: String = friend
        .der()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    for (settings, own, seen) in [
        (&required, Some(&friend), Some(name.as_str())),
        (&required, None, None),
        (&required, Some(&stranger), None),
        (&optional, Some(&friend), Some(&name)),
        (&optional, None, Some("nobody")),
        (&optional, Some(&stranger), None),
    ] {
        let (_running, address) = start(settings.clone()).await;
        for version in [&TLS12, &TLS13] {
            let client = ours.client(&[version], &[H1], own);
            let answer = answer_of(address, &client).await;
            assert_eq!(answer.as_deref(), seen, "{version:?}");
        }
    }
}

/// With TLS 1.3 a client learns only from what follows the handshake that it was refused.
async fn answer_of(address: SocketAddr, client: &Arc<ClientConfig>) -> Option<String> {
    let stream = connect(address, client).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    drive(connection);
    let response = sender.send_request(request()).await.ok()?;
    Some(read(response).await.into_body())
}

#[tokio::test]
async fn an_older_version_than_the_minimum_is_refused() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let strict = TlsSettings {
        minimum: TlsVersion::V13,
        ..files.settings()
    };
    let (_running, address) = start(strict).await;
    let old = authority.client(&[&TLS12], &[H1], None);
    assert!(connect(address, &old).await.is_err());
    let new = authority.client(&[&TLS12, &TLS13], &[H1], None);
    assert!(connect(address, &new).await.is_ok());

    // A greeting of TLS 1.0, by hand: one cipher, no extensions.
    let (_running, address) = start(files.settings()).await;
    let mut hello = vec![1, 0, 0, 41, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let mut record = vec![0x16, 3, 1, 0, hello.len() as u8];
    record.extend(hello);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    let ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer));
    ended.await.expect("it ends").unwrap();
    assert_eq!((answer[0], answer[5]), (21, 2), "a fatal alert: {answer:?}");
}

#[tokio::test]
async fn whoever_speaks_plain_http_is_told_so() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let (_running, address) = start(files.settings()).await;
    let mut line = Line::open(address).await;
    line.get("/things").await;
    let (head, body) = line.answer().await.unwrap();
    assert!(head.starts_with("http/1.1 400"), "{head}");
    assert!(body.ends_with("by https://.\n"), "{body:?}");
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_ends_the_connection() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let (_running, address) = start(files.settings()).await;
    for beginning in ["", "\u{16}", "\u{16}\u{3}\u{1}\u{0}\u{2d}"] {
        let mut line = Line::open(address).await;
        line.say(beginning).await;
        let waited = line.ended().await;
        assert!(
            (450..3_000).contains(&waited.as_millis()),
            "{beginning:?}: {waited:?}"
        );
    }
}

#[tokio::test]
async fn files_that_do_not_fit_stop_the_start_and_say_which() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let other = authority.identity("localhost");
    let cases = [
        (
            "server.key",
            other.key.as_str(),
            "tls.certificate and tls.key",
        ),
        ("server.key", "nothing", "tls.key"),
        ("server.pem", "nothing", "tls.certificate"),
    ];
    for (name, content, named) in cases {
        files.put(name, content);
        let settings = ServerSettings {
            tls: files.settings(),
            ..settings()
        };
        let refused = Service::new(settings).start().await.err();
        let Some(StartError::Settings(reason)) = refused else {
            panic!("{name} was taken: {refused:?}");
        };
        assert!(reason.contains(named), "{reason}");
    }
}
