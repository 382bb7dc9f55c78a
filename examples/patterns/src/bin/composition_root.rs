//! Dependency injection at a composition root: one place makes the parts and hands them on.
//!
//! The usual defect: a container or service locator looks its parts up at run time, and the one that
//! nobody registered is missed by the first customer. Here a context says in a struct what it takes;
//! a part that is not given is a compile error, and there is nothing to look up.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request, StatusCode};
use stanchion::server::{Answer, Anyone, Module, PathId, Routes, ServerSettings, Service, op};
use tower::ServiceExt;

/// More than any answer here, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The context's module file: what it takes, and what it brings to a service.
mod greetings {
    use super::*;

    #[async_trait]
    pub(crate) trait Phrasebook: Send + Sync {
        async fn hello(&self) -> String;
    }

    pub(crate) struct Dependencies {
        pub(crate) phrasebook: Arc<dyn Phrasebook>,
        pub(crate) signature: String,
    }

    pub(crate) fn module(dependencies: Dependencies) -> Module {
        let greet = op("Greets somebody", greet);
        let routes = Routes::new().get("/greetings/{name}", greet);
        Module::new("greetings").routes(routes.with_state(Arc::new(dependencies)))
    }

    async fn greet(
        _: Anyone,
        State(given): State<Arc<Dependencies>>,
        PathId(name): PathId<String>,
    ) -> Answer<String> {
        let hello = given.phrasebook.hello().await;
        Answer::ok(format!("{hello}, {name}! {}", given.signature))
    }
}

struct English;

struct Finnish;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let english = ask(compose(Arc::new(English))?, "/api/v1/greetings/Ada").await?;
    let finnish = ask(compose(Arc::new(Finnish))?, "/api/v1/greetings/Ada").await?;
    println!("{english}\n{finnish}");
    assert!(english.contains("Hello, Ada! Yours, the shop"));
    assert!(finnish.contains("Hei, Ada! Yours, the shop"));
    Ok(())
}

/// The composition root: the one function that knows which parts there are.
fn compose(phrasebook: Arc<dyn greetings::Phrasebook>) -> anyhow::Result<Router> {
    let greetings = greetings::module(greetings::Dependencies {
        phrasebook,
        signature: "Yours, the shop".into(),
    });
    let service = Service::new(ServerSettings::default()).mount(greetings);
    Ok(service.into_router()?)
}

async fn ask(router: Router, path: &str) -> anyhow::Result<String> {
    let request = Request::get(path).body(Body::empty())?;
    let response = router.oneshot(request).await?;
    assert_eq!(response.status(), StatusCode::OK);
    let body = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

#[async_trait]
impl greetings::Phrasebook for English {
    async fn hello(&self) -> String {
        "Hello".into()
    }
}

#[async_trait]
impl greetings::Phrasebook for Finnish {
    async fn hello(&self) -> String {
        "Hei".into()
    }
}
