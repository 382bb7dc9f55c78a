//! gRPC: `order.v1`. Each method is its REST operation: what came as a message is read by the same rules, and what is
//! answered is the same view in another form.

mod messages;

use std::pin::Pin;

use axum::extract::State;
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;
use shop_contracts::grpc::MESSAGE_BYTES_MAX;
use shop_contracts::grpc::order::v1 as pb;
use shop_contracts::grpc::order::v1::order_service_server::{OrderService, OrderServiceServer};
use shop_kernel::{OrderId, UserId};
use stanchion::eventsourcing::Version;
use stanchion::server::{
    Answer, Body, Grpc, Guarded, IdempotencyRule, IfMatch, Listed, Listing, PathId, Prefer,
    Priority, Problem, answered, grpc_methods, metadata, once, respond,
};
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

use super::guard::{SeeOrders, WriteOrders};
use super::http::OrderRoutes;
use super::http::order::{OrderView, cancel, shown};
use super::http::order_events::{EventView, watched};
use super::http::orders::{NewOrder, list_orders, own, place};
use super::http::user_orders::{list_user_orders, require};

/// The service; its methods say who may call them.
pub(crate) fn service(routes: OrderRoutes) -> Grpc {
    let server = OrderServiceServer::new(OrderApi { routes })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    Grpc::stated_by::<OrderApi>(server, pb::DESCRIPTORS)
        .priority_of("PlaceOrder", Priority::Critical)
}

struct OrderApi {
    routes: OrderRoutes,
}

grpc_methods! {
    impl OrderService for OrderApi {
        type WatchOrderStream = Pin<Box<dyn Stream<Item = Result<pb::OrderEvent, Status>> + Send>>;

        async fn place_order(
            &self,
            caller: Guarded<WriteOrders>,
            request: Request<pb::PlaceOrderRequest>,
        ) -> Result<Response<pb::Order>, Status> {
            answered(self.place(caller, request).await)
        }

        async fn get_order(
            &self,
            caller: Guarded<SeeOrders>,
            request: Request<pb::GetOrderRequest>,
        ) -> Result<Response<pb::Order>, Status> {
            let id = order_id(&request.get_ref().id)?;
            answered(shown(&caller, &self.routes, id).await)
        }

        async fn list_orders(
            &self,
            caller: Guarded<SeeOrders>,
            request: Request<pb::ListOrdersRequest>,
        ) -> Result<Response<pb::ListOrdersResponse>, Status> {
            let listed = self.list(caller, request).await;
            respond(listed.map(messages::listed))
        }

        async fn cancel_order(
            &self,
            caller: Guarded<WriteOrders>,
            request: Request<pb::CancelOrderRequest>,
        ) -> Result<Response<pb::Order>, Status> {
            answered(self.cancel(caller, request).await)
        }

        async fn watch_order(
            &self,
            caller: Guarded<SeeOrders>,
            request: Request<pb::WatchOrderRequest>,
        ) -> Result<Response<Self::WatchOrderStream>, Status> {
            let asked = request.into_inner();
            let id = order_id(&asked.id)?;
            let seen = asked.after_version.map(seen).transpose()?;
            let watched = watched(&caller, self.routes.clone(), id, seen).await?;
            let events = until_final(watched.events, watched.over);
            Ok(Response::new(Box::pin(events)))
        }
    }
}

impl OrderApi {
    async fn place(
        &self,
        caller: Guarded<WriteOrders>,
        request: Request<pb::PlaceOrderRequest>,
    ) -> Result<Answer<OrderView>, Problem> {
        let prefer: Prefer = metadata(request.metadata()).await?;
        // Before the key is claimed: what cannot be read is no answer to keep.
        let Body(new) = new_order(request.get_ref())?;
        let customer = match &request.get_ref().customer_id {
            Some(id) => customer_id(id)?,
            None => own(&caller)?,
        };
        require(&caller, &self.routes, customer)?;
        let (caller, prefer) = (&caller, &prefer);
        once(IdempotencyRule::Required, &request, |key| async move {
            place(caller, &self.routes, customer, &key, prefer, new).await
        })
        .await
    }

    async fn list(
        &self,
        caller: Guarded<SeeOrders>,
        request: Request<pb::ListOrdersRequest>,
    ) -> Result<Listed<OrderView>, Problem> {
        let consistency = metadata(request.metadata()).await?;
        let asked = request.into_inner();
        let customer = asked.customer_id.as_deref().map(customer_id).transpose()?;
        let listing = Listing::of(messages::parameters(asked)?)?;
        let state = State(self.routes.clone());
        match customer {
            Some(id) => list_user_orders(caller, state, PathId(id), consistency, listing).await,
            None => list_orders(caller, state, consistency, listing).await,
        }
    }

    async fn cancel(
        &self,
        caller: Guarded<WriteOrders>,
        request: Request<pb::CancelOrderRequest>,
    ) -> Result<Answer<OrderView>, Problem> {
        let id = PathId(order_id(&request.get_ref().id)?);
        let if_match = IfMatch::version(request.get_ref().expected_version);
        once(IdempotencyRule::Accepted, &request, |key| async move {
            cancel(caller, State(self.routes.clone()), id, key, if_match).await
        })
        .await
    }
}

/// The message by the rules of REST's body.
fn new_order(asked: &pb::PlaceOrderRequest) -> Result<Body<NewOrder>, Problem> {
    let items = asked.items.iter();
    let items = items.map(|item| json!({"sku": item.sku, "quantity": item.quantity}));
    Body::of(json!({
        "items": items.collect::<Vec<_>>(),
        "payment_method": asked.payment_method,
    }))
}

fn order_id(text: &str) -> Result<OrderId, Problem> {
    let parsed = text.parse();
    parsed.map_err(|error| Problem::invalid_parameter("id", error))
}

fn customer_id(text: &str) -> Result<UserId, Problem> {
    let parsed = text.parse();
    parsed.map_err(|error| Problem::invalid_parameter("customer_id", error))
}

fn seen(version: i64) -> Result<Version, Problem> {
    if version >= 0 {
        return Ok(Version(version));
    }
    let reason = "must be the version of an event of this order";
    Err(Problem::invalid_parameter("after_version", reason))
}

/// The events as messages. A stream that ends before nothing can happen any more ends with an error: to its client `OK`
/// means that the order's story is told.
fn until_final(
    events: impl Stream<Item = EventView> + Send + 'static,
    over: bool,
) -> impl Stream<Item = Result<pb::OrderEvent, Status>> + Send + 'static {
    let events = Some((Box::pin(events), over));
    stream::unfold(events, |events| async {
        let (mut events, told_all) = events?;
        match events.next().await {
            Some(event) => {
                let told_all = event.data.status.is_final();
                Some((Ok(event.into()), Some((events, told_all))))
            }
            None if told_all => None,
            None => {
                let cut = Problem::unavailable("the log of a watched order cannot be read");
                Some((Err(cut.into()), None))
            }
        }
    })
}
