//! An axum application of somebody's own takes the access tokens of an external identity provider, over real sockets and
//! TLS: discovery, keys, rotation, and what a hostile token or URL cannot make it do.
#![allow(clippy::unwrap_used)]

mod provider;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use provider::{Authority, Provider};
use serde_json::json;
use stanchion::auth::key::SigningAlgorithm;
use stanchion::auth::{Issuer, Permissions};
use stanchion::client::{ClientSettings, HttpClient, Metrics, OutsideSettings, SecretString};
use stanchion::issuers::{self, TrustError};
use stanchion::runtime::task;
use stanchion::server::{Caller, Module, Running, ServerSettings, Service, only_for};

/// Knows who calls, and nothing of tokens.
async fn list_orders(Caller(caller): Caller) -> String {
    if caller.allows("order:read") {
        format!("the orders of {}", caller.subject)
    } else {
        "none".to_owned()
    }
}

fn application() -> Router {
    Router::new().route("/orders", get(list_orders))
}

/// The application behind the issuer at that URL.
fn guarded(
    url: &str,
    settings: &OutsideSettings,
    metrics: &Metrics,
) -> Result<Service, TrustError> {
    let login = Issuer::discovered(url, "orders")
        .permitting(Permissions::parse("order:read").unwrap_or_default());
    let tokens = issuers::over_https([login], settings, metrics)?;
    let module = Module::new("orders").http_router(only_for::<Caller>(application(), tokens));
    Ok(Service::new(listening()).mount(module))
}

fn listening() -> ServerSettings {
    ServerSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..ServerSettings::default()
    }
}

struct Orders {
    _running: Running,
    client: HttpClient,
    metrics: Metrics,
}

impl Orders {
    async fn behind(url: &str, settings: &OutsideSettings) -> Self {
        let metrics = Metrics::default();
        let running = guarded(url, settings, &metrics)
            .unwrap()
            .start()
            .await
            .unwrap();
        let url = format!("http://{}", running.addresses().public.unwrap());
        let mut settings = ClientSettings::default();
        settings.policy.retry_on = false;
        let client = HttpClient::new("orders", &url, &settings, &metrics).unwrap();
        Self {
            _running: running,
            client,
            metrics,
        }
    }

    async fn status(&self, token: &str) -> u16 {
        self.answered(token).await.0
    }

    async fn answered(&self, token: &str) -> (u16, String) {
        let mut call = self.client.get("/orders");
        if !token.is_empty() {
            call = call.bearer(&SecretString::from(token.to_owned()));
        }
        match call.send().await {
            Ok(answer) => (answer.status().as_u16(), answer.text()),
            Err(error) => match error.reason() {
                stanchion::client::Reason::Status(answer) => {
                    (answer.status().as_u16(), answer.text())
                }
                other => panic!("{other:?}"),
            },
        }
    }
}

/// The provider is on this machine, which an operator has to say.
fn allowing(authority: &Authority) -> OutsideSettings {
    let mut settings = OutsideSettings {
        allow_private: vec!["127.0.0.1".into(), "::1".into()],
        ..OutsideSettings::default()
    };
    settings.tls.roots = Some(authority.roots());
    settings
}

#[tokio::test]
async fn an_application_of_one_s_own_takes_tokens_of_an_external_issuer() {
    let authority = Authority::new();
    let provider = Provider::start(&authority, SigningAlgorithm::Es256).await;
    let orders = Orders::behind(&provider.url, &allowing(&authority)).await;
    let (status, body) = orders.answered(&provider.token("ada", |_| {})).await;
    assert_eq!(status, 200, "{body}");
    assert!(body.starts_with("the orders of "), "{body}");
    let without = provider.token("ada", |claims| claims["scope"] = json!("openid"));
    assert_eq!(orders.answered(&without).await, (200, "none".into()));
    assert_eq!(orders.status("").await, 401);
    let other = provider.token("ada", |claims| claims["aud"] = json!("payments"));
    assert_eq!(orders.status(&other).await, 401);
    for _ in 0..100 {
        let token = provider.token("ada", |_| {});
        assert_eq!(orders.status(&token).await, 200);
    }
    assert_eq!(provider.sets_given(), 1, "cached");
    let told = orders.metrics.encode();
    assert!(told.contains("stanchion_issuer_fetches_total"), "{told}");
}

/// Row E2, on the wire: nobody is called because of what a token says.
#[tokio::test]
async fn e2_a_hostile_token_makes_the_application_call_nobody() {
    let authority = Authority::new();
    let provider = Provider::start(&authority, SigningAlgorithm::EdDsa).await;
    let trap = Provider::start(&authority, SigningAlgorithm::EdDsa).await;
    let orders = Orders::behind(&provider.url, &allowing(&authority)).await;
    let place = format!("{}/jwks", trap.url);
    for header in [
        json!({"jku": place}),
        json!({"x5u": place}),
        json!({"jwk": trap.jwk()}),
        json!({"x5c": ["MIIB"]}),
        json!({"crit": ["exp"]}),
    ] {
        let token = trap.token_with(&header, |claims| claims["iss"] = json!(provider.url));
        assert_eq!(orders.status(&token).await, 401, "{header}");
    }
    let own = trap.token("ada", |_| {});
    assert_eq!(
        orders.status(&own).await,
        401,
        "an issuer that nobody pinned"
    );
    for token in ["x", "a.b.c", &"y".repeat(9_000)] {
        assert_eq!(orders.status(token).await, 401);
    }
    assert_eq!((trap.asked(), provider.asked()), (0, 0));
}

/// Row E12, on the wire: the provider rotates while tokens are checked, and none is refused.
#[tokio::test]
async fn e12_a_rotation_of_the_issuer_under_load_refuses_no_token_and_a_flood_fetches_once() {
    let authority = Authority::new();
    let provider = Arc::new(Provider::start(&authority, SigningAlgorithm::EdDsa).await);
    let orders = Arc::new(Orders::behind(&provider.url, &allowing(&authority)).await);
    let checked = |count: usize| {
        let (orders, provider) = (Arc::clone(&orders), Arc::clone(&provider));
        task::spawn("load", async move {
            for _ in 0..count {
                let token = provider.token("ada", |_| {});
                assert_eq!(orders.status(&token).await, 200);
            }
        })
    };
    // The next key is published before anybody asks for the set; it signs in the middle of the load.
    provider.publish_next();
    checked(20).await.unwrap();
    let load = [checked(150), checked(150)];
    tokio::time::sleep(Duration::from_millis(50)).await;
    provider.turn();
    for task in load {
        task.await.unwrap();
    }
    assert_eq!(provider.sets_given(), 1);

    // A key that was never published: everybody asks for it at once.
    let flood: Vec<_> = (0..8)
        .map(|one| {
            let (orders, provider) = (Arc::clone(&orders), Arc::clone(&provider));
            task::spawn("flood", async move {
                for nth in 0..25 {
                    let header = json!({"kid": format!("unknown-{one}-{nth}")});
                    let token = provider.token_with(&header, |_| {});
                    assert_eq!(orders.status(&token).await, 401);
                }
            })
        })
        .collect();
    for task in flood {
        task.await.unwrap();
    }
    assert!(provider.sets_given() <= 2, "{}", provider.sets_given());
}

/// Row F10: without the operator's word an issuer within is not gone to, whatever its URL says.
#[tokio::test]
async fn f10_an_issuer_that_is_within_is_not_asked_unless_it_is_allowed() {
    let authority = Authority::new();
    let provider = Provider::start(&authority, SigningAlgorithm::EdDsa).await;
    let mut strict = OutsideSettings::default();
    strict.tls.roots = Some(authority.roots());
    let orders = Orders::behind(&provider.url, &strict).await;
    let (status, body) = orders.answered(&provider.token("ada", |_| {})).await;
    assert_eq!(status, 503, "{body}");
    assert!(
        !body.contains("127.0.0.1"),
        "why is the operator's to know: {body}"
    );
    assert_eq!(provider.asked(), 0);
    let stranger = Authority::new();
    let orders = Orders::behind(&provider.url, &allowing(&stranger)).await;
    let status = orders.status(&provider.token("ada", |_| {})).await;
    assert_eq!(status, 503, "its certificate is nobody's");
}

/// Row F10: a configuration that leads elsewhere is no way in.
#[tokio::test]
async fn f10_a_configuration_cannot_lead_into_the_network() {
    let authority = Authority::new();
    for place in [
        "https://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1/jwks",
        "https://10.0.0.1/jwks",
        "file:///etc/passwd",
        "https://2852039166/jwks",
    ] {
        let provider = Provider::start(&authority, SigningAlgorithm::EdDsa).await;
        provider.leads_to(place);
        let orders = Orders::behind(&provider.url, &allowing(&authority)).await;
        let status = orders.status(&provider.token("ada", |_| {})).await;
        assert_eq!(status, 503, "{place}");
        assert_eq!(provider.sets_given(), 0);
    }
}
