//! gRPC's public test service, as its interoperability cases want it, on the server that every service runs on.

#[allow(
    clippy::all,
    missing_docs,
    unreachable_pub,
    reason = "generated: the .proto file is what is written and read"
)]
mod testing {
    tonic::include_proto!("grpc.testing");
}

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use stanchion::server::{Anyone, Grpc};
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};

use testing::test_service_server::{TestService, TestServiceServer};
use testing::{
    EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, SimpleResponse,
    StreamingInputCallRequest, StreamingInputCallResponse, StreamingOutputCallRequest,
    StreamingOutputCallResponse,
};

/// The encoded `FileDescriptorSet` of the service.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/testing.bin"));

/// The largest message that is taken and sent: the largest of the cases, and some.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Metadata that come back as they are: with the head, and with the status.
const ECHOED: &str = "x-grpc-test-echo-initial";
const ECHOED_LAST: &str = "x-grpc-test-echo-trailing-bin";

type Answers = Pin<Box<dyn Stream<Item = Result<StreamingOutputCallResponse, Status>> + Send>>;

/// The service, for anybody to call.
#[must_use]
pub fn service() -> Grpc {
    let server = TestServiceServer::new(Scripted)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    Grpc::new(server, DESCRIPTORS)
        .allow::<Anyone>("EmptyCall")
        .allow::<Anyone>("UnaryCall")
        .allow::<Anyone>("StreamingOutputCall")
        .allow::<Anyone>("StreamingInputCall")
        .allow::<Anyone>("FullDuplexCall")
}

/// Does what the message asks for.
struct Scripted;

#[tonic::async_trait]
impl TestService for Scripted {
    async fn empty_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }

    async fn unary_call(
        &self,
        request: Request<SimpleRequest>,
    ) -> Result<Response<SimpleResponse>, Status> {
        let (metadata, _, asked) = request.into_parts();
        asked_for(asked.response_status, &metadata)?;
        let payload = Some(payload(asked.response_size)?);
        Ok(echoing(SimpleResponse { payload }, &metadata))
    }

    type StreamingOutputCallStream = Answers;

    async fn streaming_output_call(
        &self,
        request: Request<StreamingOutputCallRequest>,
    ) -> Result<Response<Answers>, Status> {
        let (metadata, _, asked) = request.into_parts();
        asked_for(asked.response_status, &metadata)?;
        let answers: Answers = Box::pin(answers(asked.response_parameters));
        Ok(echoing(answers, &metadata))
    }

    async fn streaming_input_call(
        &self,
        request: Request<Streaming<StreamingInputCallRequest>>,
    ) -> Result<Response<StreamingInputCallResponse>, Status> {
        let mut arriving = request.into_inner();
        let mut aggregated_payload_size = 0;
        while let Some(message) = arriving.message().await? {
            let bytes = message.payload.map_or(0, |payload| payload.body.len());
            aggregated_payload_size += bytes as i32;
        }
        Ok(Response::new(StreamingInputCallResponse {
            aggregated_payload_size,
        }))
    }

    type FullDuplexCallStream = Answers;

    async fn full_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let (metadata, _, arriving) = request.into_parts();
        let asked = metadata.clone();
        let each = arriving.map(move |message| -> Answers {
            let message = message.and_then(|message| {
                asked_for(message.response_status.clone(), &asked)?;
                Ok(message)
            });
            match message {
                Ok(message) => Box::pin(answers(message.response_parameters)),
                Err(status) => Box::pin(stream::iter([Err(status)])),
            }
        });
        let answers: Answers = Box::pin(each.flatten());
        Ok(echoing(answers, &metadata))
    }
}

fn answers(
    asked: Vec<ResponseParameters>,
) -> impl Stream<Item = Result<StreamingOutputCallResponse, Status>> + Send {
    stream::iter(asked).then(|asked| async move {
        let micros = u64::try_from(asked.interval_us).unwrap_or_default();
        tokio::time::sleep(Duration::from_micros(micros)).await;
        let payload = Some(payload(asked.size)?);
        Ok(StreamingOutputCallResponse { payload })
    })
}

/// So many zeros.
fn payload(size: i32) -> Result<Payload, Status> {
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size <= MESSAGE_BYTES_MAX);
    let size = size.ok_or_else(|| Status::invalid_argument("no such size"))?;
    let body = vec![0; size];
    Ok(Payload { r#type: 0, body })
}

/// The status that the message asks for, with the metadata that come back last.
fn asked_for(status: Option<EchoStatus>, metadata: &MetadataMap) -> Result<(), Status> {
    let Some(status) = status.filter(|status| status.code != 0) else {
        return Ok(());
    };
    let mut refused = Status::new(Code::from(status.code), status.message);
    if let Some(value) = metadata.get_bin(ECHOED_LAST) {
        refused
            .metadata_mut()
            .insert_bin(ECHOED_LAST, value.clone());
    }
    Err(refused)
}

fn echoing<T>(message: T, metadata: &MetadataMap) -> Response<T> {
    let mut response = Response::new(message);
    if let Some(value) = metadata.get(ECHOED) {
        response.metadata_mut().insert(ECHOED, value.clone());
    }
    response
}
