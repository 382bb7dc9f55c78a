//! One request on a connection of its own.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, LOCATION};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use stanchion_runtime::task::spawn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::url::Place;
use super::{Document, OutsideError, OutsideSettings};

/// The longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

pub(super) enum Answer {
    Document(Document),
    Redirect(String),
}

/// Asks at exactly that address, which was looked at before.
pub(super) async fn get(
    place: &Place,
    address: SocketAddr,
    tls: &TlsConnector,
    settings: &OutsideSettings,
) -> Result<Answer, OutsideError> {
    let failed = |error: &dyn std::fmt::Display| {
        OutsideError::Failed(format!("{} at {address}: {error}", place.host))
    };
    let tcp = TcpStream::connect(address).await;
    let tcp = tcp.map_err(|error| failed(&error))?;
    if !place.tls {
        return asked(place, tcp, settings).await;
    }
    let name = ServerName::try_from(place.host.clone()).map_err(|error| failed(&error))?;
    let stream = tls.connect(name, tcp).await;
    asked(place, stream.map_err(|error| failed(&error))?, settings).await
}

async fn asked<S>(
    place: &Place,
    stream: S,
    settings: &OutsideSettings,
) -> Result<Answer, OutsideError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| OutsideError::Failed(format!("{}: {error}", place.host));
    let (mut sender, connection) = http1::Builder::new()
        .max_header_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // Ends with the sender or the body, whichever is dropped last; what goes wrong is told to them.
    drop(spawn("outside connection", async move {
        let _ = connection.await;
    }));
    let request = Request::get(place.path.as_str())
        .header(HOST, &place.authority)
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new());
    let request = request.map_err(|error| OutsideError::Failed(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    read(place, response, settings.body_bytes_max.as_usize()).await
}

async fn read(
    place: &Place,
    response: Response<Incoming>,
    bytes_max: usize,
) -> Result<Answer, OutsideError> {
    let (head, body) = response.into_parts();
    if is_redirect(head.status) {
        let location = head.headers.get(LOCATION);
        let location = location.and_then(|location| location.to_str().ok());
        return location.map_or(Err(OutsideError::Status(head.status.as_u16())), |to| {
            Ok(Answer::Redirect(to.to_owned()))
        });
    }
    if head.status != StatusCode::OK {
        return Err(OutsideError::Status(head.status.as_u16()));
    }
    let whole = Limited::new(body, bytes_max).collect().await;
    let whole = whole.map_err(|error| {
        if error.is::<LengthLimitError>() {
            OutsideError::TooLarge(bytes_max)
        } else {
            OutsideError::Failed(format!("{}: {error}", place.host))
        }
    })?;
    Ok(Answer::Document(Document {
        url: place.url(),
        headers: head.headers,
        body: whole.to_bytes().to_vec(),
    }))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
