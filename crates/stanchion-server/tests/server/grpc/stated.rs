//! A gRPC service whose methods state who may call them, as REST handlers do.

use std::sync::Arc;

use futures_util::stream;
use stanchion_server::*;
use tonic::{Code as Grpced, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{FILE_DESCRIPTOR_SET, HealthCheckRequest, HealthCheckResponse};

use super::super::shop::{ChangeThings, SeeThings, Tokens, settings};
use super::{asking, client, said};

struct Api;

grpc_methods! {
    impl Health for Api {
        type WatchStream = stream::Iter<std::vec::IntoIter<Result<HealthCheckResponse, Status>>>;

        /// Answers whoever sees things.
        async fn check(
            &self,
            caller: Authorized<SeeThings>,
            request: Request<HealthCheckRequest>,
        ) -> Result<Response<HealthCheckResponse>, Status> {
            assert!(caller.holds::<SeeThings>());
            match request.get_ref().service.as_str() {
                "missing" => respond(Err(codes::ROUTE_NOT_FOUND.problem())),
                _ => respond(Ok(said(ServingStatus::Serving))),
            }
        }

        async fn watch(
            &self,
            _: Authorized<ChangeThings>,
            _: Request<HealthCheckRequest>,
        ) -> Result<Response<Self::WatchStream>, Status> {
            let told = vec![Ok(said(ServingStatus::Serving))];
            Ok(Response::new(stream::iter(told)))
        }
    }
}

fn stated() -> Grpc {
    Grpc::stated_by::<Api>(HealthServer::new(Api), FILE_DESCRIPTOR_SET)
}

#[tokio::test]
async fn a_method_is_called_by_whom_its_first_argument_lets_in() {
    let module = Module::new("stated").grpc(stated());
    let service = Service::new(settings())
        .tokens(Arc::new(Tokens))
        .mount(module);
    let running = service.start().await.unwrap();
    let mut client = client(&running).await;
    client.check(asking("reader", "")).await.unwrap();
    let refused = client.check(asking("reader", "missing")).await.unwrap_err();
    assert_eq!(refused.code(), Grpced::Unimplemented);
    let refused = client.check(asking("writer", "")).await.unwrap_err();
    assert_eq!(refused.code(), Grpced::PermissionDenied);
    let refused = client.check(HealthCheckRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Grpced::Unauthenticated);
    let mut told = client.watch(asking("writer", "")).await.unwrap();
    assert!(told.get_mut().message().await.unwrap().is_some());
    let refused = client.watch(asking("reader", "")).await.unwrap_err();
    assert_eq!(refused.code(), Grpced::PermissionDenied);
    running.stop();
}

/// Functions of another service.
struct Others;

impl StatesMethods for Others {
    const METHODS: &'static [(&'static str, Access)] = &[("charge_card", Access::Public)];
}

#[test]
#[should_panic(expected = "has no method for the function `charge_card`")]
fn statements_about_another_services_methods_are_refused() {
    drop(Grpc::stated_by::<Others>(
        HealthServer::new(Api),
        FILE_DESCRIPTOR_SET,
    ));
}

/// Nothing at all.
struct Silent;

impl StatesMethods for Silent {
    const METHODS: &'static [(&'static str, Access)] = &[];
}

#[test]
#[should_panic(expected = "states no access")]
fn a_method_that_nobody_stated_anything_of_keeps_the_service_from_starting() {
    let grpc = Grpc::stated_by::<Silent>(HealthServer::new(Api), FILE_DESCRIPTOR_SET);
    let service = Service::new(settings()).mount(Module::new("silent").grpc(grpc));
    drop(service.into_router());
}

#[test]
#[should_panic(expected = "states its access twice")]
fn what_a_method_states_itself_is_not_stated_again_from_outside() {
    drop(stated().allow::<Anyone>("Check"));
}
