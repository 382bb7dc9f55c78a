//! The running service, asked through its admin port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use stanchion_config::ExposeSecret;
use stanchion_runtime::task;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Stopped;
use crate::service::AdminSettings;

/// Everything that a path segment cannot hold as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const ANSWER_MAX: usize = 1 << 20;

/// What the service said; nothing if that was no JSON.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// No service answers there.
    Nobody(String),
    /// One does, but it did not say.
    Failed(String),
}

/// Asks the running service on its admin port, for a command of the application's own: the path of these segments, with
/// this JSON body if there is one. What it answered, unless that is an error.
///
/// # Errors
/// [`Stopped::Failed`]: no service answers there, it wants another token, or it refused; with what it said.
pub async fn ask_operated(
    admin: &AdminSettings,
    method: Method,
    segments: &[&str],
    body: Option<&Value>,
) -> Result<Value, Stopped> {
    let asked = ask_with(admin, method, segments, body).await;
    let answer =
        asked.map_err(|(NoAnswer::Nobody(why) | NoAnswer::Failed(why))| Stopped::Failed(why))?;
    if answer.status.is_success() {
        return Ok(answer.body);
    }
    let why = answer.body["error"].as_str().map(str::to_owned);
    let why = why.unwrap_or_else(|| format!("the service answered {}", answer.status));
    Err(Stopped::Failed(why))
}

/// Asks the service for the path of these segments.
pub(super) async fn ask(
    admin: &AdminSettings,
    method: Method,
    segments: &[&str],
) -> Result<Answer, NoAnswer> {
    ask_with(admin, method, segments, None).await
}

async fn ask_with(
    admin: &AdminSettings,
    method: Method,
    segments: &[&str],
    body: Option<&Value>,
) -> Result<Answer, NoAnswer> {
    let address = reachable(admin.listen);
    let nobody = |error: &dyn std::fmt::Display| {
        NoAnswer::Nobody(format!("no service answers on {address}: {error}"))
    };
    let connected = timeout(ANSWER_WITHIN, TcpStream::connect(address)).await;
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(nobody(&error)),
        Err(late) => return Err(nobody(&late)),
    };
    let asking = exchange(admin, address, stream, method, segments, body);
    let answer = match timeout(ANSWER_WITHIN, asking).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(nobody(&error)),
        Err(_) => {
            let late = format!("no answer from {address} within {ANSWER_WITHIN:?}");
            return Err(NoAnswer::Failed(late));
        }
    };
    if answer.status == StatusCode::UNAUTHORIZED {
        let wants = format!("the service on {address} wants another admin token");
        return Err(NoAnswer::Failed(wants));
    }
    Ok(answer)
}

/// Posts to the path of these segments; false if the service knows no such thing.
///
/// # Errors
/// Why nobody could be asked, or what was refused.
pub(super) async fn post(admin: &AdminSettings, segments: &[&str]) -> Result<bool, String> {
    let asked = ask(admin, Method::POST, segments).await;
    let answer = asked.map_err(|(NoAnswer::Nobody(why) | NoAnswer::Failed(why))| why)?;
    match answer.status {
        StatusCode::NOT_FOUND => Ok(false),
        status if status.is_success() => Ok(true),
        status => {
            let address = reachable(admin.listen);
            Err(format!("the service on {address} answered {status}"))
        }
    }
}

async fn exchange(
    admin: &AdminSettings,
    address: SocketAddr,
    stream: TcpStream,
    method: Method,
    segments: &[&str],
    body: Option<&Value>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender; what goes wrong is told there.
    let _connection = task::spawn("admin-client", async move { drop(connection.await) });
    let path: String = segments
        .iter()
        .map(|segment| format!("/{}", utf8_percent_encode(segment, SEGMENT)))
        .collect();
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, address.to_string());
    if let Some(token) = &admin.token {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
    }
    let body = match body {
        Some(body) => {
            request = request.header(CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    let response = sender.send_request(request.body(body)?).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_MAX);
    let body = body.collect().await?.to_bytes();
    Ok(Answer {
        status,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
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
