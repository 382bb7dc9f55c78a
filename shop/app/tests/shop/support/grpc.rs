//! The same shop by gRPC: clients as they are generated, and what a refused call says.

use std::collections::BTreeMap;

use shop_contracts::grpc::inventory::v1::inventory_service_client::InventoryServiceClient;
use shop_contracts::grpc::order::v1::order_service_client::OrderServiceClient;
use shop_contracts::grpc::payment::v1::payment_service_client::PaymentServiceClient;
use shop_contracts::grpc::user::v1::user_service_client::UserServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

use super::{Caller, Shop};

/// A client of each service, on one connection.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) channel: Channel,
    pub(crate) users: UserServiceClient<Channel>,
    pub(crate) orders: OrderServiceClient<Channel>,
    pub(crate) inventory: InventoryServiceClient<Channel>,
    pub(crate) payments: PaymentServiceClient<Channel>,
}

impl Shop {
    pub(crate) async fn grpc(&self) -> Clients {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Clients {
            users: UserServiceClient::new(channel.clone()),
            orders: OrderServiceClient::new(channel.clone()),
            inventory: InventoryServiceClient::new(channel.clone()),
            payments: PaymentServiceClient::new(channel.clone()),
            channel,
        }
    }
}

impl Caller {
    /// A call with the caller's token, if it has one.
    pub(crate) fn call<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if !self.token.is_empty() {
            let bearer = format!("Bearer {}", self.token).parse().unwrap();
            request.metadata_mut().insert("authorization", bearer);
        }
        request
    }

    /// The same with an idempotency key.
    pub(crate) fn keyed<T>(&self, key: &str, message: T) -> Request<T> {
        with(self.call(message), "idempotency-key", key)
    }
}

/// The call with one more of metadata.
pub(crate) fn with<T>(mut request: Request<T>, name: &'static str, value: &str) -> Request<T> {
    request.metadata_mut().insert(name, value.parse().unwrap());
    request
}

/// What came beside an answer under this name.
pub(crate) fn beside<T>(answer: &Response<T>, name: &str) -> Option<String> {
    let value = answer.metadata().get(name)?;
    value.to_str().ok().map(str::to_owned)
}

/// The status and the REST code of a refused call.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T, Status>) -> (Code, String) {
    let Err(status) = result else {
        panic!("it was not refused");
    };
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    (status.code(), info.reason)
}

/// What a refused call says is wrong, field by field.
#[track_caller]
pub(crate) fn violations<T>(result: Result<T, Status>) -> BTreeMap<String, String> {
    let Err(status) = result else {
        panic!("it was not refused");
    };
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let wrong = status.get_details_bad_request();
    let wrong = wrong.unwrap_or_else(|| panic!("no BadRequest: {status:?}"));
    let each = wrong.field_violations.into_iter();
    each.map(|one| (one.field, one.description)).collect()
}
