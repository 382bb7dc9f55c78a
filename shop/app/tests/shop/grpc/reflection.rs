//! What a client learns that has no `.proto` file, and what an operator sees.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::support::{Shop, launch, operate};

#[tokio::test]
async fn reflection_lists_the_services_and_describes_their_messages() {
    let shop = Shop::start().await;
    let services = ask(&shop, MessageRequest::ListServices(String::new())).await;
    let Some(MessageResponse::ListServicesResponse(listed)) = services.message_response else {
        panic!("{services:?}");
    };
    let names: BTreeSet<_> = listed.service.iter().map(|one| one.name.as_str()).collect();
    let wanted = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "inventory.v1.InventoryService",
        "order.v1.OrderService",
        "payment.v1.PaymentService",
        "user.v1.UserService",
    ];
    assert_eq!(names, BTreeSet::from(wanted));

    for symbol in [
        "order.v1.PlaceOrderRequest",
        "common.v1.Money",
        "user.v1.UserService",
    ] {
        let file = ask(&shop, MessageRequest::FileContainingSymbol(symbol.into())).await;
        let described = matches!(
            file.message_response,
            Some(MessageResponse::FileDescriptorResponse(_))
        );
        assert!(described, "{symbol}: {file:?}");
    }
}

async fn ask(shop: &Shop, question: MessageRequest) -> ServerReflectionResponse {
    let mut client = ServerReflectionClient::new(shop.grpc().await.channel);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    let answers = client.server_reflection_info(stream::iter([request])).await;
    let mut answers = answers.unwrap().into_inner();
    answers.next().await.unwrap().unwrap()
}

#[tokio::test]
async fn routes_lists_methods_with_who_may_call_them() {
    let listed = operate(launch(&[]), &["routes"]).await.expect(0).out;
    let line = |path: &str| {
        let mut lines = listed.lines();
        let found = lines.find(|line| line.split_whitespace().nth(1) == Some(path));
        found.unwrap_or_else(|| panic!("no {path} in\n{listed}"))
    };
    for (path, access, module) in [
        (
            "/order.v1.OrderService/WatchOrder",
            "policy(order:read)",
            "orders",
        ),
        (
            "/inventory.v1.InventoryService/GetProduct",
            "public",
            "inventory",
        ),
        (
            "/inventory.v1.InventoryService/SyncStock",
            "inventory:write",
            "inventory",
        ),
        (
            "/payment.v1.PaymentService/Refund",
            "payment:refund",
            "payments",
        ),
        ("/user.v1.UserService/StreamUsers", "user:read", "identity"),
    ] {
        let words: Vec<_> = line(path).split_whitespace().collect();
        assert_eq!(words[2..4], [access, module], "{words:?}");
    }
}
