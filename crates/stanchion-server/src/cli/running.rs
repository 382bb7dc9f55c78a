//! The running service, asked through its admin port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use http::header::{AUTHORIZATION, HOST};
use http::{Method, Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use stanchion_config::ExposeSecret;
use stanchion_runtime::task;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::service::AdminSettings;

/// Everything that a path segment cannot hold as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Posts to the path of these segments; false if the service knows no such thing.
///
/// # Errors
/// Why nobody could be asked, or what was refused.
pub(super) async fn post(admin: &AdminSettings, segments: &[&str]) -> Result<bool, String> {
    let address = reachable(admin.listen);
    let answered = timeout(ANSWER_WITHIN, ask(admin, address, segments)).await;
    let status = match answered {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Err(format!("no service answers on {address}: {error}")),
        Err(_) => return Err(format!("no answer from {address} within {ANSWER_WITHIN:?}")),
    };
    match status {
        StatusCode::UNAUTHORIZED => Err(format!(
            "the service on {address} wants another admin token"
        )),
        StatusCode::NOT_FOUND => Ok(false),
        status if status.is_success() => Ok(true),
        status => Err(format!("the service on {address} answered {status}")),
    }
}

async fn ask(
    admin: &AdminSettings,
    address: SocketAddr,
    segments: &[&str],
) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender; what goes wrong is told there.
    let _connection = task::spawn("admin-client", async move { drop(connection.await) });
    let path: String = segments
        .iter()
        .map(|segment| format!("/{}", utf8_percent_encode(segment, SEGMENT)))
        .collect();
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, address.to_string());
    if let Some(token) = &admin.token {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
    }
    let response = sender.send_request(request.body(Body::empty())?).await?;
    Ok(response.status())
}

/// Who listens everywhere is asked here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
