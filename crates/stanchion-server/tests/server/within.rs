//! Calls between modules of one process, through a client that tonic generated.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use futures_util::{Stream, StreamExt, stream};
use parking_lot::Mutex;
use stanchion_auth::{Permissions, Principal};
use stanchion_server::*;
use tonic::{Code as Grpced, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{FILE_DESCRIPTOR_SET, HealthCheckRequest, HealthCheckResponse};
use uuid::Uuid;

use super::api::Api;
use super::shop::{SeeThings, Tokens, settings};

/// What the called service saw.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Call>>>);

/// Caller, user, request id and time left.
type Call = (String, Option<Uuid>, String, Duration);

#[tonic::async_trait]
impl Health for Seen {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let caller = access::<Authorized<SeeThings>>()?;
        let context = Context::current().unwrap();
        self.0.lock().push((
            caller.subject.to_string(),
            caller.on_behalf_of,
            context.request_id().to_owned(),
            context.remaining().unwrap(),
        ));
        if request.get_ref().service == "sleep" {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(said()))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let first = stream::iter([Ok(said())]);
        Ok(Response::new(Box::pin(first.chain(stream::pending()))))
    }
}

fn said() -> HealthCheckResponse {
    let status = ServingStatus::Serving as i32;
    HealthCheckResponse { status }
}

fn asked(service: &str) -> HealthCheckRequest {
    let service = service.to_owned();
    HealthCheckRequest { service }
}

type Client = HealthClient<InProcessCaller>;

async fn ask(_: Caller, State(client): State<Client>) -> Result<Answer<String>, Problem> {
    let mut client = client;
    let answer = client.check(asked("")).await;
    Ok(Answer::ok(format!(
        "{:?}",
        answer.map(|_| ()).map_err(|status| status.code())
    )))
}

fn module(seen: &Seen, client: Client) -> Module {
    let grpc = Grpc::new(HealthServer::new(seen.clone()), FILE_DESCRIPTOR_SET);
    let grpc = grpc.allow::<Authorized<SeeThings>>("Check");
    let routes = Routes::new().get("/asked", op("Ask", ask).deadline(Duration::from_secs(2)));
    Module::new("things")
        .grpc(grpc.allow::<Authorized<SeeThings>>("Watch"))
        .routes(routes.with_state(client))
}

fn orders() -> Principal {
    let permissions = Permissions::parse("thing:read").unwrap();
    Principal::service("orders", permissions).unwrap()
}

fn started(within: &InProcess, seen: &Seen) -> (Api, Client) {
    let client = HealthClient::new(within.calling_as(orders()));
    // One permit: a call that wanted one of its own would wait for ever.
    let settings = ServerSettings {
        in_flight_max: 1,
        ..settings()
    };
    let service = Service::new(settings)
        .tokens(Arc::new(Tokens))
        .in_process(within)
        .mount(module(seen, client.clone()));
    (Api(service.into_router().unwrap()), client)
}

#[tokio::test]
async fn a_call_within_the_process_is_a_services_on_behalf_of_the_user_and_part_of_its_request() {
    let (within, seen) = (InProcess::default(), Seen::default());
    let (api, _) = started(&within, &seen);
    let headers = [
        ("authorization", "Bearer writer"),
        ("x-request-id", "trip-7"),
    ];
    let got = api
        .send("GET /asked", &headers, axum::body::Body::empty())
        .await;
    assert_eq!(got.json()["data"], "Ok(())", "{got:?}");
    let seen = seen.0.lock();
    let (subject, user, request, left) = &seen[0];
    assert_eq!(
        (subject.as_str(), request.as_str()),
        ("svc:orders", "trip-7")
    );
    assert_eq!(*user, Some(Uuid::from_u128(1)), "the writer");
    assert!(*left <= Duration::from_secs(2), "{left:?}");
}

#[tokio::test]
async fn it_holds_the_permissions_of_the_service_and_no_others() {
    let (within, seen) = (InProcess::default(), Seen::default());
    let (_api, _) = started(&within, &seen);
    let nobody = Principal::service("nobody", Permissions::none()).unwrap();
    let mut client = HealthClient::new(within.calling_as(nobody));
    let status = client.check(asked("")).await.unwrap_err();
    assert_eq!(status.code(), Grpced::PermissionDenied, "{status}");
    // A token in its metadata makes it nobody else.
    let mut request = Request::new(asked(""));
    request
        .metadata_mut()
        .insert("authorization", "Bearer reader".parse().unwrap());
    let status = client.check(request).await.unwrap_err();
    assert_eq!(status.code(), Grpced::PermissionDenied);
    assert!(seen.0.lock().is_empty());
}

#[tokio::test]
async fn it_ends_with_its_deadline_and_its_streams_do_too() {
    let (within, seen) = (InProcess::default(), Seen::default());
    let (_api, mut client) = started(&within, &seen);
    let mut request = Request::new(asked("sleep"));
    request.set_timeout(Duration::from_millis(100));
    let status = client.check(request).await.unwrap_err();
    assert_eq!(status.code(), Grpced::DeadlineExceeded, "{status}");

    let mut request = Request::new(asked(""));
    request.set_timeout(Duration::from_millis(100));
    let mut watching = client.watch(request).await.unwrap().into_inner();
    assert!(watching.message().await.unwrap().is_some());
    let status = watching.message().await.unwrap_err();
    assert_eq!(status.code(), Grpced::DeadlineExceeded, "{status}");
}

#[tokio::test]
async fn before_the_service_has_started_nobody_is_there() {
    let within = InProcess::default();
    let mut client = HealthClient::new(within.calling_as(orders()));
    let status = client.check(asked("")).await.unwrap_err();
    assert_eq!(status.code(), Grpced::Unavailable, "{status}");
    let service = Service::new(settings()).in_process(&within);
    let _router = service.into_router().unwrap();
    let status = client.check(asked("")).await.unwrap_err();
    assert_eq!(status.code(), Grpced::Unimplemented, "{status}");
}
