use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::{HeaderName, HeaderValue};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stanchion_messaging::InboxKey;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use utoipa::ToSchema;

use crate::answer::{Outcome, Reply};
use crate::context::Context;
use crate::extract::consistency_stamp;
use crate::idempotency::{self, Idempotency};
use crate::{Answer, IdempotencyRule, Problem};

/// An extractor's value out of a call's metadata, read as the headers of a request of REST are: `Prefer`,
/// `ConsistencyToken`, `IfMatch` and whatever else looks at headers alone.
///
/// # Errors
/// What the extractor says to a wrong header.
pub async fn metadata<E>(metadata: &MetadataMap) -> Result<E, Problem>
where
    E: FromRequestParts<(), Rejection = Problem>,
{
    let mut request = http::Request::new(());
    *request.headers_mut() = metadata.as_ref().clone();
    request.extensions_mut().insert(current()?);
    let (mut parts, ()) = request.into_parts();
    E::from_request_parts(&mut parts, &()).await
}

/// Serves a call at most once by the key in its metadata (`idempotency-key`), as REST does by the header.
///
/// The key is scoped to the caller and the method, lives 24 hours, and what is kept of the answer is what REST keeps;
/// the message is what makes two calls the same. `serve` is not called for a repeat: the answer of then is given, with
/// `idempotent-replayed: true`. Without an inbox in the module, or without a caller, it is called every time.
///
/// # Errors
/// `IDEMPOTENCY_KEY_REQUIRED`, `IDEMPOTENCY_KEY_REUSED`, `REQUEST_IN_PROGRESS`, and what `serve` says.
pub async fn once<M, T, F>(
    rule: IdempotencyRule,
    request: &Request<M>,
    serve: impl FnOnce(Idempotency) -> F,
) -> Result<Answer<T>, Problem>
where
    M: Message,
    T: Serialize + DeserializeOwned + ToSchema + 'static,
    F: Future<Output = Result<Answer<T>, Problem>>,
{
    let context = current()?;
    let Some(key) = idempotency::key(rule, request.metadata().as_ref())? else {
        return serve(Idempotency::default()).await;
    };
    let inbox = context.module.get().and_then(|module| module.inbox.clone());
    let Some((inbox, caller)) = inbox.zip(context.principal()) else {
        return serve(Idempotency::default()).await;
    };
    let endpoint = context.endpoint().unwrap_or_default();
    let route = endpoint.replace('/', ":");
    let key = InboxKey::request(&idempotency::caller(caller), &route, &key);
    let message = request.get_ref().encode_to_vec();
    let fingerprint = idempotency::fingerprint_of([endpoint.as_bytes(), &message]);
    let served = idempotency::once(inbox, key, fingerprint, &context, |idempotency| async {
        serve(idempotency).await.into_outcome()
    });
    match served.await {
        Outcome::Success(success) => Answer::of(success),
        Outcome::Problem(problem) => Err(problem),
        Outcome::Rejected(_) | Outcome::Raw(_) => {
            Err(Problem::internal("an answer in a form of its own"))
        }
    }
}

/// A handler's answer in gRPC's form: its data as the message, its headers and `consistency-token` as metadata.
///
/// # Errors
/// The problem, as a status; `INTERNAL` for an answer without data.
pub fn answered<T, M: From<T>>(answer: Result<Answer<T>, Problem>) -> Result<Response<M>, Status> {
    let answer = answer?;
    let data = answer.data;
    let data = data.ok_or_else(|| Problem::internal("a call's answer has no data"))?;
    let mut headers = answer.headers;
    if let (Some((log, position)), Some(context)) = (answer.consistency, Context::current()) {
        let (signer, module) = (&context.lent.signer, context.module_name());
        let token = consistency_stamp(signer, module, log, position);
        let token = HeaderValue::try_from(token).map_err(Problem::internal)?;
        headers.push((HeaderName::from_static("consistency-token"), token));
    }
    let metadata = headers.into_iter().collect();
    let mut response = Response::new(M::from(data));
    *response.metadata_mut() = MetadataMap::from_headers(metadata);
    Ok(response)
}

fn current() -> Result<Arc<Context>, Problem> {
    Context::current().ok_or_else(|| Problem::internal("a call outside its service"))
}
