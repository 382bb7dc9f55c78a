use stanchion_auth::{Principal, ServiceTokens};
use stanchion_config::ExposeSecret;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::Context;

/// Says in each gRPC call to another process which service of ours asks, and for which user: for a generated client's
/// `with_interceptor`.
///
/// The user is the one whose request is being served where the call is made; a worker asks for itself. Every call gets
/// a token of its own, which lives a minute, so nothing is renewed. Send them over TLS or a loopback address only: see
/// `GrpcChannel::is_private` of stanchion-client.
#[derive(Clone, Debug)]
pub struct AsService {
    service: Principal,
    /// Who signs, and for whom.
    signed: Option<(ServiceTokens, &'static str)>,
}

impl AsService {
    /// Calls over the network to the service `called`, as `service`, signed by `tokens`: nobody else takes them.
    #[must_use]
    pub fn signed(service: Principal, called: &'static str, tokens: ServiceTokens) -> Self {
        let signed = Some((tokens, called));
        Self { service, signed }
    }

    /// Calls within the process, where nothing is signed: see [`InProcess::calling_as`](crate::InProcess::calling_as).
    #[must_use]
    pub fn within(service: Principal) -> Self {
        let signed = None;
        Self { service, signed }
    }

    fn caller(&self) -> Principal {
        let context = Context::current();
        let user = context.and_then(|context| context.principal()?.acting_user());
        match user {
            Some(user) => self.service.clone().on_behalf_of(user),
            None => self.service.clone(),
        }
    }
}

impl Interceptor for AsService {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let Some((tokens, called)) = &self.signed else {
            return Ok(request);
        };
        let token = tokens.issue(&self.caller(), called, stanchion_runtime::clock::now());
        let token = token.ok_or_else(|| Status::internal("who calls is no service"))?;
        let bearer = format!("Bearer {}", token.expose_secret());
        let mut bearer = MetadataValue::try_from(bearer)
            .map_err(|_| Status::internal("a service token is no header"))?;
        bearer.set_sensitive(true);
        request.metadata_mut().insert("authorization", bearer);
        Ok(request)
    }
}
