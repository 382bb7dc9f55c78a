//! Row F10: documents at URLs that somebody else chose, over real sockets.
//!
//! Whoever is asked listens on 127.0.0.2, which stands for a place that may be reached; 127.0.0.1 is this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::StatusCode;
use stanchion_client::{Discovery, Metrics, Outside, OutsideError, OutsideSettings, SetupError};
use stanchion_runtime::task::spawn;
use stanchion_server::{Module, Running, ServerSettings, Service, TlsSettings};
use tokio::net::TcpListener;

use super::tls::Authority;

const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// What counts whoever connects to this machine, and says a secret.
struct Within {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl Within {
    async fn start() -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counted = Arc::clone(&calls);
        drop(spawn("within", async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        }));
        Self { address, calls }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// Serves that router on 127.0.0.2 without TLS.
async fn serve(router: axum::Router) -> String {
    let listener = TcpListener::bind((THERE, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(spawn("there", async move {
        axum::serve(listener, router).await.unwrap();
    }));
    format!("http://{address}")
}

fn strict() -> Outside {
    Outside::new(&OutsideSettings::default(), &Metrics::default()).unwrap()
}

fn settings() -> OutsideSettings {
    OutsideSettings {
        allow_private: vec![THERE.to_string()],
        timeout: Duration::from_secs(2),
        ..OutsideSettings::default()
    }
}

fn allowing() -> Outside {
    Outside::new(&settings(), &Metrics::default()).unwrap()
}

#[tokio::test]
async fn f10_no_spelling_of_an_address_within_is_connected_to() {
    let within = Within::start().await;
    let port = within.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
    ] {
        let refusal = strict().get(&format!("https://{host}:{port}/")).await;
        let refusal = refusal.unwrap_err();
        // What no resolver takes for an address ends there.
        let kept_out = matches!(
            refusal,
            OutsideError::Private { .. } | OutsideError::Failed(_) | OutsideError::Url { .. }
        );
        assert!(kept_out, "{host}: {refusal}");
    }
    for url in [
        format!("http://{}/", within.address),
        format!("https://user@{}/", within.address),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1:70/".to_owned(),
    ] {
        let refusal = strict().get(&url).await;
        assert!(matches!(refusal, Err(OutsideError::Url { .. })), "{url}");
    }
    assert_eq!(within.calls(), 0);
}

#[tokio::test]
async fn f10_a_name_that_resolves_otherwise_a_moment_later_is_looked_at_each_time() {
    let within = Within::start().await;
    let port = within.address.port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // The first answer may be reached (and nobody is there), the second is this machine.
    let rebinding = Discovery::asking(move || {
        let nth = count.fetch_add(1, Ordering::SeqCst);
        let ip = if nth == 0 {
            THERE
        } else {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        };
        async move { Ok(vec![SocketAddr::new(ip, port)]) }
    });
    let outside = Outside::resolving(&settings(), rebinding, &Metrics::default()).unwrap();
    let first = outside.get("https://evil.example/").await;
    assert!(matches!(first, Err(OutsideError::Failed(_))), "{first:?}");
    assert_eq!(
        asked.load(Ordering::SeqCst),
        1,
        "the address that was looked at is the one"
    );
    let second = outside.get("https://evil.example/").await;
    assert!(
        matches!(second, Err(OutsideError::Private { .. })),
        "{second:?}"
    );
    assert_eq!(within.calls(), 0);
}

#[tokio::test]
async fn f10_of_several_addresses_one_within_is_enough_to_stay_away() {
    let within = Within::start().await;
    let both = Discovery::fixed([SocketAddr::new(THERE, 9), within.address]);
    let outside = Outside::resolving(&settings(), both, &Metrics::default()).unwrap();
    let refusal = outside.get("https://evil.example/").await;
    assert!(matches!(refusal, Err(OutsideError::Private { .. })));
    assert_eq!(within.calls(), 0);
}

#[tokio::test]
async fn f10_every_redirect_is_looked_at_like_the_first_url() {
    let within = Within::start().await;
    for (status, target) in [
        (302, format!("http://{}/", within.address)),
        (301, format!("http://localhost:{}/", within.address.port())),
        (307, format!("http://2130706433:{}/", within.address.port())),
        (308, format!("https://[::1]:{}/", within.address.port())),
        (303, "http://169.254.169.254/latest/meta-data".to_owned()),
        (302, "file:///etc/passwd".to_owned()),
    ] {
        let location = target.clone();
        let led = get(move || {
            let location = location.clone();
            async move {
                (
                    StatusCode::from_u16(status).unwrap(),
                    [("location", location)],
                )
            }
        });
        let there = serve(axum::Router::new().route("/", led)).await;
        let refusal = allowing().get(&format!("{there}/")).await.unwrap_err();
        let kept_out = matches!(
            refusal,
            OutsideError::Private { .. } | OutsideError::Url { .. }
        );
        assert!(kept_out, "{target}: {refusal}");
    }
    assert_eq!(within.calls(), 0);
}

#[tokio::test]
async fn redirects_size_time_and_status_are_bounded() {
    let router = axum::Router::new()
        .route("/", get(async || "{\"a\":1}"))
        .route("/moved", get(async || Redirect::permanent("/")))
        .route("/round", get(async || Redirect::temporary("/round")))
        .route(
            "/nowhere",
            get(async || -> Response { StatusCode::FOUND.into_response() }),
        )
        .route("/large", get(async || "x".repeat(300 * 1024)))
        .route("/created", get(async || StatusCode::CREATED))
        .route("/slow", get(async || std::future::pending::<()>().await));
    let there = serve(router).await;
    let quick = OutsideSettings {
        timeout: Duration::from_millis(300),
        ..settings()
    };
    let outside = Outside::new(&quick, &Metrics::default()).unwrap();
    let got = async |path: &str| outside.get(&format!("{there}{path}")).await;
    assert_eq!(got("/").await.unwrap().body, b"{\"a\":1}");
    let moved = got("/moved").await.unwrap();
    assert_eq!(moved.url, format!("{there}/"));
    assert_eq!(got("/round").await, Err(OutsideError::Redirects(3)));
    assert_eq!(got("/nowhere").await, Err(OutsideError::Status(302)));
    assert_eq!(got("/large").await, Err(OutsideError::TooLarge(256 * 1024)));
    assert_eq!(got("/created").await, Err(OutsideError::Status(201)));
    assert_eq!(got("/missing").await, Err(OutsideError::Status(404)));
    let late = got("/slow").await;
    assert_eq!(late, Err(OutsideError::TimedOut(quick.timeout)));
}

async fn over_tls(authority: &Authority) -> (Running, u16) {
    let (certificate, key) = authority.identity("server", "keys.example");
    let settings = ServerSettings {
        listen: SocketAddr::new(THERE, 0),
        tls: TlsSettings {
            certificate: Some(certificate),
            key: Some(key),
            ..TlsSettings::default()
        },
        ..ServerSettings::default()
    };
    let router = axum::Router::new().route("/jwks", get(async || "{\"keys\":[]}"));
    let service = Service::new(settings).mount(Module::new("keys").http_router(router));
    let running = service.start().await.unwrap();
    let port = running.addresses().public.unwrap().port();
    (running, port)
}

#[tokio::test]
async fn over_tls_a_host_is_known_by_its_certificate_s_name_wherever_it_is() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (_running, port) = over_tls(&authority).await;
    let get = async |url: &str, authority: &Authority| {
        let mut settings = settings();
        settings.tls.roots = Some(authority.path("roots.pem"));
        let there = Discovery::fixed([SocketAddr::new(THERE, port)]);
        let outside = Outside::resolving(&settings, there, &Metrics::default()).unwrap();
        outside.get(url).await
    };
    let document = get("https://keys.example/jwks", &authority).await.unwrap();
    assert_eq!(document.body, b"{\"keys\":[]}");
    let other_name = get("https://evil.example/jwks", &authority).await;
    assert!(matches!(other_name, Err(OutsideError::Failed(_))));
    let other_roots = get("https://keys.example/jwks", &stranger).await;
    assert!(matches!(other_roots, Err(OutsideError::Failed(_))));
}

#[test]
fn what_is_no_network_is_refused_at_once() {
    let settings = OutsideSettings {
        allow_private: vec!["localhost".into()],
        ..OutsideSettings::default()
    };
    let refusal = Outside::new(&settings, &Metrics::default()).unwrap_err();
    assert_eq!(refusal, SetupError::Network("localhost".into()));
}
