//! The service: four routes that call the stub, by four priorities and with one policy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use stanchion_resilience::policy::{EveryError, Policy, PolicySettings};
use stanchion_resilience::retry::Terms;
use stanchion_resilience::{Dice, Failure};
use stanchion_server::{
    AdminSettings, Answer, Anyone, Module, Priority, Problem, Routes, ServerSettings, Service,
    Stopped, codes, op,
};
use stanchion_telemetry::{TelemetrySettings, init};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    admin: SocketAddr,
    /// Where the stub is: `http://HOST:PORT`.
    #[arg(long)]
    stub: String,
}

#[derive(Clone)]
struct Dependency {
    client: Client<HttpConnector, Empty<Bytes>>,
    url: Arc<str>,
    /// Of what hangs; the other calls have none, so that nothing but admission bounds them.
    policy: Policy,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let telemetry = init(&TelemetrySettings::default(), "overload")?;
    let policy = PolicySettings {
        retry_on: false,
        hedge_on: false,
        // What a bulkhead alone does.
        breaker_on: false,
        timeout: Duration::from_secs(1),
        ..PolicySettings::default()
    };
    let dependency = Dependency {
        client: Client::builder(TokioExecutor::new()).build_http(),
        url: options.stub.into(),
        policy: Policy::with("hanging", &policy, telemetry.metrics(), &Dice::system()),
    };
    let routes = Routes::new()
        .get("/work", op("Work", work))
        .get(
            "/vital",
            op("Work that matters", vital).priority(Priority::Critical),
        )
        .get(
            "/some-day",
            op("Work that can wait", some_day).priority(Priority::Background),
        )
        .get("/hung", op("Work that hangs", hung))
        .with_state(dependency.clone());
    let settings = ServerSettings {
        listen: options.listen,
        lame_duck: Some(Duration::ZERO),
        ..ServerSettings::default()
    };
    let service = Service::new(settings)
        .base_path("")
        .metrics(telemetry.metrics().clone())
        .admin(AdminSettings {
            listen: options.admin,
            ..AdminSettings::default()
        })
        .mount(
            Module::new("overload")
                .routes(routes)
                .policy(dependency.policy),
        );
    match service.run().await {
        Stopped::Clean => Ok(()),
        other => anyhow::bail!("{other:?}"),
    }
}

async fn work(_: Anyone, State(stub): State<Dependency>) -> Result<Answer<u16>, Problem> {
    stub.ask("/take")
        .await
        .map(Answer::ok)
        .map_err(Problem::unavailable)
}

async fn vital(_: Anyone, State(stub): State<Dependency>) -> Result<Answer<u16>, Problem> {
    stub.ask("/take")
        .await
        .map(Answer::ok)
        .map_err(Problem::unavailable)
}

async fn some_day(_: Anyone, State(stub): State<Dependency>) -> Result<Answer<u16>, Problem> {
    stub.ask("/take")
        .await
        .map(Answer::ok)
        .map_err(Problem::unavailable)
}

async fn hung(_: Anyone, State(stub): State<Dependency>) -> Result<Answer<u16>, Problem> {
    let asked = stub
        .policy
        .call(Terms::read(), &EveryError, |_| stub.ask("/hang"));
    asked
        .await
        .map(Answer::ok)
        .map_err(|gave_up| match gave_up.last {
            Failure::Refused(_) => codes::UNAVAILABLE.problem(),
            other => Problem::unavailable(other.to_string()),
        })
}

impl Dependency {
    async fn ask(&self, path: &str) -> Result<u16, String> {
        let uri: Uri = format!("{}{path}", self.url)
            .parse()
            .map_err(|error: http::uri::InvalidUri| error.to_string())?;
        let request = Request::get(uri)
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await;
        body.map(|_| status).map_err(|error| error.to_string())
    }
}
