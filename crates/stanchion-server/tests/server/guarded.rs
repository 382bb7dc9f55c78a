//! Operations on single objects: policies decide, and an answer for which nobody asked them stays inside.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use stanchion_auth::policy::{Entity, Kind, PolicyFile, Resource, Vocabulary};
use stanchion_server::*;
use stanchion_telemetry::Metrics;
use tonic::Code as Grpced;
use uuid::Uuid;

use super::api::Api;
use super::grpc;
use super::shop::{SeeThings, Tokens, settings};

const POLICIES: &str = r#"
@id("own things")
permit (principal is User, action == Action::"thing:read", resource is Thing)
when { resource.owner == principal };
"#;

fn policies() -> PolicyFile {
    let words = Vocabulary::new()
        .resource("Thing", [("owner", Kind::entity("User"))])
        .action::<SeeThings>(["Thing"]);
    PolicyFile::parse("things.cedar", POLICIES, &words).unwrap()
}

/// A thing of that user's; those of nobody are described wrongly.
async fn owned(
    caller: Guarded<SeeThings>,
    State(policies): State<Arc<PolicyFile>>,
    PathId(owner): PathId<u128>,
) -> Result<Answer<String>, Problem> {
    let thing = Resource::new("Thing", 1);
    let thing = match owner {
        0 => thing,
        owner => thing.with("owner", Entity::user(Uuid::from_u128(owner))),
    };
    caller.may(&*policies, &thing)?;
    Ok(Answer::ok("a thing".into()))
}

async fn forgetful(_: Guarded<SeeThings>) -> Answer<String> {
    Answer::ok("the canary".into())
}

async fn missing(_: Guarded<SeeThings>) -> Result<Answer<String>, Problem> {
    Err(codes::ROUTE_NOT_FOUND.problem())
}

async fn everybodys(caller: Guarded<SeeThings>) -> Result<Answer<String>, Problem> {
    match caller.everywhere() {
        true => Ok(Answer::ok("all".into())),
        false => Err(Problem::forbidden()),
    }
}

fn api() -> Api {
    api_with(&Metrics::default())
}

fn api_with(metrics: &Metrics) -> Api {
    let routes = Routes::new()
        .get(
            "/things/{owner}",
            op("Get a thing", owned).errors(&[codes::FORBIDDEN]),
        )
        .get("/forgetful", op("Forget to ask", forgetful))
        .get(
            "/missing",
            op("Have none", missing).errors(&[codes::ROUTE_NOT_FOUND]),
        )
        .get(
            "/everybodys",
            op("Get all", everybodys).errors(&[codes::FORBIDDEN]),
        )
        .with_state(Arc::new(policies()));
    let service = Service::new(settings())
        .tokens(Arc::new(Tokens))
        .metrics(metrics.clone());
    let service = service.mount(Module::new("guarded").routes(routes));
    Api(service.into_router().unwrap())
}

async fn get(api: &Api, token: &str, path: &str) -> (u16, String) {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let got = api
        .send(&format!("GET {path}"), &headers, Body::empty())
        .await;
    (got.status, got.code())
}

#[tokio::test]
async fn a_policy_or_the_permission_lets_a_caller_at_an_object() {
    let api = api();
    // The writer is user 1 and holds nothing on reading; the reader is user 2 and holds the permission.
    assert_eq!(get(&api, "writer", "/things/1").await.0, 200);
    assert_eq!(
        get(&api, "writer", "/things/2").await,
        (403, "FORBIDDEN".into())
    );
    assert_eq!(get(&api, "reader", "/things/1").await.0, 200);
    assert_eq!(get(&api, "nobody", "/things/1").await.0, 401);
}

#[tokio::test]
async fn decisions_are_counted_by_action_and_what_was_decided() {
    let metrics = Metrics::default();
    let api = api_with(&metrics);
    for (token, owner) in [("writer", 1), ("writer", 2), ("reader", 1), ("reader", 0)] {
        get(&api, token, &format!("/things/{owner}")).await;
    }
    // Nobody asks about an object here.
    get(&api, "reader", "/everybodys").await;
    get(&api, "nobody", "/things/1").await;
    let shown = metrics.encode();
    for (decision, times) in [("allowed", 2), ("denied", 1), ("misfit", 1)] {
        let line = format!(
            "stanchion_server_policy_decisions_total{{action=\"thing:read\",decision=\"{decision}\"}} {times}"
        );
        assert!(shown.contains(&line), "{line}\n{shown}");
    }
}

#[tokio::test]
async fn an_object_that_is_not_as_described_is_denied_to_everybody() {
    let api = api();
    for token in ["writer", "reader"] {
        assert_eq!(get(&api, token, "/things/0").await.0, 403);
    }
}

#[tokio::test]
async fn an_answer_for_which_no_policy_was_asked_is_withheld() {
    let api = api();
    assert_eq!(
        get(&api, "reader", "/forgetful").await,
        (500, "INTERNAL".into())
    );
    // There is nothing to ask about.
    assert_eq!(get(&api, "reader", "/missing").await.0, 404);
    assert_eq!(get(&api, "reader", "/everybodys").await.0, 200);
    assert_eq!(get(&api, "writer", "/everybodys").await.0, 403);
}

#[tokio::test]
async fn a_call_for_which_no_policy_was_asked_is_withheld_too() {
    let service = grpc::scripted_for::<Guarded<SeeThings>>();
    let service = Service::new(settings())
        .tokens(Arc::new(Tokens))
        .mount(service);
    let running = service.start().await.unwrap();
    let mut client = grpc::client(&running).await;
    let refused = client.check(grpc::asking("reader", "")).await.unwrap_err();
    assert_eq!(refused.code(), Grpced::Internal);
    let refused = client.watch(grpc::asking("writer", "short")).await;
    assert_eq!(refused.unwrap_err().code(), Grpced::Internal);
    // A refusal of its own is none that needs a decision.
    let missing = client
        .check(grpc::asking("reader", "missing"))
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Grpced::NotFound);
    running.stop();
}
