//! gRPC: `payment.v1`. Each method is its REST operation: what came as a message is read by the same rules, and what is
//! answered is the same view in another form.

mod messages;

use axum::extract::State;
use serde_json::json;
use shop_contracts::grpc::MESSAGE_BYTES_MAX;
use shop_contracts::grpc::payment::v1 as pb;
use shop_contracts::grpc::payment::v1::payment_service_server::{
    PaymentService, PaymentServiceServer,
};
use shop_kernel::PaymentId;
use stanchion::server::{
    Answer, Authorized, Body, Grpc, Guarded, IdempotencyRule, PathId, Problem, answered,
    grpc_methods, once,
};
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

use super::guard::SeePayments;
use super::http::PaymentRoutes;
use super::http::payments::{PaymentView, get_payment};
use super::http::refunds::{NewRefund, RefundPayments, refund_payment};

/// The service; its methods say who may call them.
pub(crate) fn service(routes: PaymentRoutes) -> Grpc {
    let server = PaymentServiceServer::new(PaymentApi { routes })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    Grpc::stated_by::<PaymentApi>(server, pb::DESCRIPTORS)
}

struct PaymentApi {
    routes: PaymentRoutes,
}

grpc_methods! {
    impl PaymentService for PaymentApi {
        async fn get_payment(
            &self,
            caller: Guarded<SeePayments>,
            request: Request<pb::GetPaymentRequest>,
        ) -> Result<Response<pb::Payment>, Status> {
            let id = PathId(payment_id("id", &request.get_ref().id)?);
            answered(get_payment(caller, State(self.routes.clone()), id).await)
        }

        async fn refund(
            &self,
            caller: Authorized<RefundPayments>,
            request: Request<pb::RefundRequest>,
        ) -> Result<Response<pb::Payment>, Status> {
            answered(self.refund_payment(caller, request).await)
        }
    }
}

impl PaymentApi {
    async fn refund_payment(
        &self,
        caller: Authorized<RefundPayments>,
        request: Request<pb::RefundRequest>,
    ) -> Result<Answer<PaymentView>, Problem> {
        // Before the key is claimed: what cannot be read is no answer to keep.
        let id = PathId(payment_id("payment_id", &request.get_ref().payment_id)?);
        let body = Some(new_refund(request.get_ref())?);
        once(IdempotencyRule::Required, &request, |key| async move {
            refund_payment(caller, State(self.routes.clone()), id, key, body).await
        })
        .await
    }
}

/// The message by the rules of REST's body.
fn new_refund(asked: &pb::RefundRequest) -> Result<Body<NewRefund>, Problem> {
    let amount = asked.amount.as_ref();
    Body::of(match amount {
        Some(money) => json!({"amount": {"amount": money.amount, "currency": money.currency}}),
        None => json!({}),
    })
}

fn payment_id(name: &str, text: &str) -> Result<PaymentId, Problem> {
    let parsed = text.parse();
    parsed.map_err(|error| Problem::invalid_parameter(name, error))
}
