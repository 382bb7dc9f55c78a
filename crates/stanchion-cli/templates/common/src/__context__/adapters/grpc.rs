//! gRPC: each method is its REST operation. What came as a message is read by the same rules, and what is answered is
//! the same view in another form.

use axum::extract::State;
use serde_json::json;
use stanchion::server::{
    Authorized, Body, Grpc, IdempotencyRule, PathId, Problem, answered, grpc_methods, once,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::http::{Read__Things__, __Thing__Id, __Thing__View, Write__Things__, get, open};
use crate::__context__::application::__Things__;

/// The largest message that is taken, as large as a body of REST: 1 MiB.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

#[allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    reason = "generated: the .proto file is what is written and read"
)]
mod pb {
    tonic::include_proto!("__context__.v1");

    /// What describes the package for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/__context__.v1.bin"));
}

use pb::__things___service_server::{__Things__Service, __Things__ServiceServer};

/// The service; its methods say who may call them.
pub(crate) fn service(things: __Things__) -> Grpc {
    let server = __Things__ServiceServer::new(Api { things })
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    Grpc::stated_by::<Api>(server, pb::DESCRIPTORS)
}

struct Api {
    things: __Things__,
}

grpc_methods! {
    impl __Things__Service for Api {
        async fn open___thing__(
            &self,
            caller: Authorized<Write__Things__>,
            request: Request<pb::Open__Thing__Request>,
        ) -> Result<Response<pb::__Thing__>, Status> {
            let named = Body::of(json!({ "name": request.get_ref().name }))?;
            let opened = once(IdempotencyRule::Accepted, &request, |key| async move {
                open(caller, State(self.things.clone()), key, named).await
            });
            answered(opened.await)
        }

        async fn get___thing__(
            &self,
            caller: Authorized<Read__Things__>,
            request: Request<pb::Get__Thing__Request>,
        ) -> Result<Response<pb::__Thing__>, Status> {
            let id = PathId(__Thing__Id(id(&request.get_ref().id)?));
            answered(get(caller, State(self.things.clone()), id).await)
        }
    }
}

fn id(text: &str) -> Result<Uuid, Problem> {
    let parsed = text.parse();
    parsed.map_err(|_| Problem::invalid_parameter("id", "must be a UUID"))
}

impl From<__Thing__View> for pb::__Thing__ {
    fn from(view: __Thing__View) -> Self {
        Self {
            id: view.id.to_string(),
            name: view.name,
            closed: view.closed,
            version: view.version,
            created_at: Some(timestamp(view.created_at)),
            updated_at: Some(timestamp(view.updated_at)),
        }
    }
}

fn timestamp(at: jiff::Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}
