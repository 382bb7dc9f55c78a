use std::convert::Infallible;
use std::future::poll_fn;
use std::mem::{replace, take};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::header::{CONNECTION, HeaderValue};
use http::{Extensions, Request, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tower::ServiceExt;

use super::activity::{Activity, AtWork, Protocol, Rest};
use super::agreed::{Agreed, ClientCertificates};
use super::builder::builder;
use super::doubts::{Hosts, Length, hosts, length};
use super::held::Held;
use super::io::{TimedIo, WatchedIo};
use super::limits::ConnectionLimits;
use super::paced::{BodyRate, Paced};
use super::taken::Taken;
use super::together::Together;
use super::{Moments, Telling, Tls};
use crate::grpc;
use crate::metrics::ServerMetrics;
use crate::present::{Present, Sought};
use crate::stack::{Around, Upgrading};

/// Whoever floods us has this long to be told to go.
const TOLD_WITHIN: Duration = Duration::from_millis(100);
/// A refused body larger than this is not read to its end: the connection closes, and the answer says so.
const UNREAD_BYTES_MAX: u64 = 16 * 1024;

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// What connections of a port are served with.
#[derive(Clone)]
pub(crate) struct Serving {
    pub(crate) app: App,
    pub(crate) limits: ConnectionLimits,
    pub(crate) moments: Moments,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) metrics: ServerMetrics,
}

/// What answers the requests of a port.
#[derive(Clone)]
pub(crate) enum App {
    /// The public port's.
    Public(Around),
    /// The operator's.
    Admin(Router),
}

impl App {
    async fn answer(&self, request: &mut Request<Body>, present: Present) -> Response {
        match self {
            Self::Public(around) => around.answer(request, present).await,
            Self::Admin(router) => {
                let Ok(response) = router.clone().oneshot(take(request)).await;
                response
            }
        }
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, held: Held, serving: Serving) {
    let _ = stream.set_nodelay(true);
    let mut agreed = Agreed {
        peer,
        protocol: Protocol::Any,
        certificates: None,
    };
    let Some(tls) = serving.tls.clone() else {
        let stream = TimedIo::new(stream, serving.limits.write);
        return converse(stream, agreed, held, serving).await;
    };
    let handshake = tokio::select! {
        handshake = tls.handshake(stream, serving.limits) => handshake,
        // Nothing was asked yet that a stop would have to wait for.
        () = serving.moments.idle.cancelled() => return,
        () = serving.moments.cut.cancelled() => return,
    };
    let stream = match handshake {
        Ok(stream) => stream,
        Err(reason) => {
            tracing::debug!(%peer, reason, "no TLS was agreed on");
            return serving.metrics.handshake_failed(reason);
        }
    };
    let (_, session) = stream.get_ref();
    agreed.protocol = match session.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        Some(_) => Protocol::Http1,
        None => Protocol::Any,
    };
    let certificates = session.peer_certificates();
    agreed.certificates = certificates.map(ClientCertificates::of);
    converse(stream, agreed, held, serving).await;
}

async fn converse<S>(stream: S, agreed: Agreed, held: Held, serving: Serving)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Serving {
        app,
        limits,
        moments,
        metrics,
        ..
    } = serving;
    let peer = agreed.peer;
    let activity = Arc::new(Activity::new(agreed.protocol));
    let io = WatchedIo::new(stream, activity.clone(), held, &moments.cut);
    let io = TokioIo::new(io);
    let conversation = Arc::new(Conversation {
        app,
        extensions: agreed.extensions(),
        activity: activity.clone(),
        telling: moments.telling.clone(),
        body: limits.body,
    });
    let builder = builder(limits.streams);
    let service = service_fn(move |request| answer(Arc::clone(&conversation), request));
    let connection = builder.serve_connection_with_upgrades(io, service);
    tokio::pin!(connection);
    let mut together = Together::default();
    let mut rest = Rest::begin();
    let mut told = false;
    let mut closing = false;
    loop {
        // Woken by themselves alone: a request does not ask after each of these.
        let look_in = limits.look_in(rest.rested());
        let event = event(&moments, &activity, look_in, told, closing);
        let event = FuturesUnordered::from_iter([event]);
        let event = event.into_future();
        tokio::pin!(event);
        let happened = tokio::select! {
            result = poll_fn(|context| together.poll(connection.as_mut(), &activity, context)) => {
                activity.end();
                if activity.is_refused() {
                    metrics.connection_refused("headers");
                }
                return ended(result);
            }
            (happened, _) = event => happened,
        };
        match happened {
            None | Some(Event::Cut) => return,
            Some(Event::Telling) => {
                told = true;
                // GOAWAY in two steps: streams already on their way are served.
                if activity.is_http2() {
                    connection.as_mut().graceful_shutdown();
                }
            }
            Some(Event::Idle) => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            Some(Event::Spent) => {
                tracing::debug!(%peer, "more frames that ask for nothing than anybody needs");
                metrics.connection_refused("flood");
                connection.as_mut().graceful_shutdown();
                let _told = tokio::time::timeout(TOLD_WITHIN, connection.as_mut()).await;
                return;
            }
            Some(Event::Look) => {
                if activity.is_stalled(limits.header) {
                    tracing::debug!(%peer, "a head did not arrive in time");
                    return;
                }
                let rested = rest.look(&activity);
                if activity.is_idle(limits.idle + limits.header) {
                    // Told to go, it did not.
                    return;
                }
                if !closing && (activity.is_idle(limits.idle) || rested >= limits.idle) {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                if activity.takes_nothing(limits.write) {
                    tracing::debug!(%peer, "the client takes nothing of its answers");
                    return;
                }
            }
        }
    }
}

/// What a connection has to do beside its requests.
enum Event {
    Cut,
    Telling,
    Idle,
    Spent,
    Look,
}

async fn event(
    moments: &Moments,
    activity: &Activity,
    look_in: Duration,
    told: bool,
    closing: bool,
) -> Event {
    tokio::select! {
        () = moments.cut.cancelled() => Event::Cut,
        () = moments.telling.moment().cancelled(), if !told => Event::Telling,
        () = moments.idle.cancelled(), if !closing => Event::Idle,
        () = activity.spent() => Event::Spent,
        () = tokio::time::sleep(look_in) => Event::Look,
    }
}

/// What the requests of a connection have in common.
struct Conversation {
    app: App,
    /// What each of its requests has.
    extensions: Extensions,
    activity: Arc<Activity>,
    telling: Telling,
    body: BodyRate,
}

/// What a head says of its request and of the connection.
struct Head {
    present: Present,
    length: Length,
    hosts: Hosts,
    /// Below HTTP/2 the connection is the request's.
    persistent: bool,
    nameless: bool,
    large: bool,
}

impl Head {
    fn of(request: &Request<Incoming>, activity: &Activity) -> Self {
        let present = Present::of(request.headers());
        let hosts = hosts(request, present);
        let bytes = request.body().size_hint().upper();
        Self {
            present,
            length: length(request, present, activity),
            hosts,
            persistent: request.version() <= Version::HTTP_11,
            nameless: request.version() == Version::HTTP_11 && hosts == Hosts::None,
            large: bytes.is_none_or(|bytes| bytes > UNREAD_BYTES_MAX),
        }
    }
}

/// Not an async function, which keeps its arguments beside what it makes of them: the request is made ours before.
fn answer(
    conversation: Arc<Conversation>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response, Infallible>> + Send {
    let head = Head::of(&request, &conversation.activity);
    // From now on: over HTTP/2 the request may be answered by a task that has not begun yet.
    let at_work = conversation.activity.request();
    // What streams has deadlines of its own, and is silent while it has nothing to say.
    let is_call = head.present.has(Sought::Grpc);
    // Most have none, and what stands for that needs no memory.
    let mut request = request.map(|body| {
        if body.is_end_stream() {
            Body::empty()
        } else if is_call {
            Body::new(body)
        } else {
            Paced::watch(Body::new(body), conversation.body)
        }
    });
    let extensions = conversation.extensions.clone();
    let own = replace(request.extensions_mut(), extensions);
    if !own.is_empty() {
        request.extensions_mut().extend(own);
    }
    async move { Ok(conversation.answer(&mut request, head, at_work).await) }
}

impl Conversation {
    async fn answer(&self, request: &mut Request<Body>, head: Head, at_work: AtWork) -> Response {
        let activity = &self.activity;
        if head.length == Length::Two || head.hosts == Hosts::Two {
            return refused();
        }
        let persistent = head.persistent;
        let mut response = self.app.answer(request, head.present).await;
        let upgrading = response.extensions_mut().remove::<Upgrading>();
        // Over HTTP/2 the connection stays what it is.
        let upgrading = upgrading.filter(|_| persistent);
        let is_upgraded =
            upgrading.is_some_and(|upgrading| activity.upgrade.set(upgrading).is_ok());
        let status = response.status();
        let is_refused = head.large && status.as_u16() >= 400;
        let leaves_unread = status == StatusCode::REQUEST_TIMEOUT || is_refused;
        let doubtful = head.nameless || head.length == Length::Doubtful;
        let is_last = leaves_unread || doubtful || self.telling.has_begun();
        // What has become another protocol is told in its own words.
        if persistent && is_last && !is_upgraded {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        let streams = response.body().size_hint().exact();
        if !persistent || streams.is_none_or(|bytes| bytes > UNREAD_BYTES_MAX) {
            // Over HTTP/1.1 what comes in beside a long answer is no head that is late. Whether it is a call's is told by
            // the answer, which is ours: what a client says of its request may be anything.
            let whole = persistent || grpc::is_grpc(response.headers());
            response = response.map(|body| Taken::watch(body, whole, at_work));
        }
        response
    }
}

/// As hyper answers what it cannot read.
fn refused() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONNECTION, CLOSE);
    response
}

fn ended(result: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
