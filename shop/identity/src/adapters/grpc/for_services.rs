//! gRPC: `identity.v1`, what the shop's other services ask when they run in processes of their own.

use std::sync::Arc;

use shop_contracts::grpc::MESSAGE_BYTES_MAX;
use shop_contracts::grpc::identity::v1 as pb;
use shop_contracts::grpc::identity::v1::identity_service_server::{
    IdentityService, IdentityServiceServer,
};
use stanchion::auth::permissions;
use stanchion::auth::secret::Signer;
use stanchion::eventsourcing::{SealingKey, SubjectKey, Vault};
use stanchion::server::{Authorized, Grpc, Problem, grpc_methods, respond};
use tonic::{Request, Response, Status};

use crate::adapters::way;
use crate::application::Identity;
use crate::application::api_keys::KeyStanding;
use crate::domain::{Refused, SessionId};

/// The most subjects that are asked for at once.
pub(crate) const SUBJECTS_MAX: usize = 256;

permissions! {
    /// Ask identity what only services may know. No role has it, and a user who has all is refused nevertheless.
    pub(crate) AskIdentity = "identity:ask";
}

/// The service, for services alone.
pub(crate) fn service(identity: Arc<Identity>, vault: Arc<dyn Vault>, signer: &Signer) -> Grpc {
    let server = IdentityServiceServer::new(ForServices {
        identity,
        vault,
        way: way::key(signer),
    });
    let server = server.max_decoding_message_size(MESSAGE_BYTES_MAX);
    Grpc::stated_by::<ForServices>(server, pb::DESCRIPTORS)
}

struct ForServices {
    identity: Arc<Identity>,
    vault: Arc<dyn Vault>,
    way: SealingKey,
}

grpc_methods! {
    impl IdentityService for ForServices {
        async fn get_key_set(
            &self,
            caller: Authorized<AskIdentity>,
            _: Request<pb::GetKeySetRequest>,
        ) -> Result<Response<pb::KeySet>, Status> {
            services_only(&caller)?;
            let jwks = serde_json::to_string(&self.identity.tokens.ring().jwks());
            let jwks = jwks.map_err(|error| Status::internal(error.to_string()))?;
            Ok(Response::new(pb::KeySet { jwks }))
        }

        async fn get_standing(
            &self,
            caller: Authorized<AskIdentity>,
            request: Request<pb::GetStandingRequest>,
        ) -> Result<Response<pb::Standing>, Status> {
            services_only(&caller)?;
            respond(self.standing(&request.get_ref().session_id).await)
        }

        async fn get_client_token(
            &self,
            caller: Authorized<AskIdentity>,
            request: Request<pb::GetClientTokenRequest>,
        ) -> Result<Response<pb::ClientToken>, Status> {
            services_only(&caller)?;
            respond(self.client_token(request.get_ref()).await)
        }

        async fn get_api_key(
            &self,
            caller: Authorized<AskIdentity>,
            request: Request<pb::GetApiKeyRequest>,
        ) -> Result<Response<pb::ApiKeyStanding>, Status> {
            services_only(&caller)?;
            respond(self.api_key(&request.get_ref().hash).await)
        }

        async fn get_subject_keys(
            &self,
            caller: Authorized<AskIdentity>,
            request: Request<pb::GetSubjectKeysRequest>,
        ) -> Result<Response<pb::GetSubjectKeysResponse>, Status> {
            services_only(&caller)?;
            respond(self.subject_keys(request.into_inner()).await)
        }
    }
}

impl ForServices {
    async fn standing(&self, session: &str) -> Result<pb::Standing, Problem> {
        let session = session.parse();
        let session = session.map_err(|error| Problem::invalid_parameter("session_id", error))?;
        let standing = self.identity.standing_as_stored(SessionId(session)).await;
        let standing = standing.map_err(Problem::unavailable)?;
        Ok(
            standing.map_or_else(pb::Standing::default, |standing| pb::Standing {
                user_id: Some(standing.user.to_string()),
                roles: standing
                    .roles
                    .iter()
                    .map(|role| role.name().into())
                    .collect(),
            }),
        )
    }

    async fn client_token(
        &self,
        asked: &pb::GetClientTokenRequest,
    ) -> Result<pb::ClientToken, Problem> {
        let client = asked.client_id.parse();
        let client =
            client.map_err(|error: Refused| Problem::invalid_parameter("client_id", error.0))?;
        let token = asked.token_id.parse();
        let token = token.map_err(|error| Problem::invalid_parameter("token_id", error))?;
        let counts = self.identity.client_token_as_stored(client, token).await;
        let counts = counts.map_err(Problem::unavailable)?;
        Ok(pb::ClientToken { counts })
    }

    async fn api_key(&self, hash: &[u8]) -> Result<pb::ApiKeyStanding, Problem> {
        let hash: [u8; 32] = hash
            .try_into()
            .map_err(|error| Problem::invalid_parameter("hash", error))?;
        let standing = self.identity.key_standing_as_stored(&hash.into()).await;
        let standing = standing.map_err(Problem::unavailable)?;
        Ok(standing.map_or_else(pb::ApiKeyStanding::default, told))
    }

    async fn subject_keys(
        &self,
        asked: pb::GetSubjectKeysRequest,
    ) -> Result<pb::GetSubjectKeysResponse, Problem> {
        if asked.subjects.len() > SUBJECTS_MAX {
            let why = format!("at most {SUBJECTS_MAX} at once");
            return Err(Problem::invalid_parameter("subjects", why));
        }
        // As stored: who asks remembers them for as long as a process may, so this one's memory must not add to it.
        let keys = if asked.make {
            self.vault.keys_to_seal(&asked.subjects).await
        } else {
            self.vault.keys_as_stored(&asked.subjects).await
        };
        let keys = keys.map_err(Problem::unavailable)?.into_iter();
        let keys = keys.filter_map(|(subject, key)| self.sealed(subject, &key));
        Ok(pb::GetSubjectKeysResponse {
            keys: keys.collect(),
        })
    }

    fn sealed(&self, subject: String, key: &SubjectKey) -> Option<pb::SubjectKey> {
        let sealed_key = match key {
            SubjectKey::Absent => return None,
            SubjectKey::Shredded => None,
            SubjectKey::Present(key) => Some(key.sealed_by(&self.way, &subject)),
        };
        Some(pb::SubjectKey {
            subject,
            sealed_key,
        })
    }
}

fn told(standing: KeyStanding) -> pb::ApiKeyStanding {
    let roles = standing.roles.iter().flat_map(|roles| roles.iter());
    pb::ApiKeyStanding {
        owner: Some(standing.row.owner.to_string()),
        id: standing.row.id.to_string(),
        roles: roles.map(|role| role.name().to_owned()).collect(),
        scopes: standing.row.scopes.iter().map(str::to_owned).collect(),
        expires_at: standing.row.expires_at.map(|at| at.to_string()),
    }
}

/// An administrator holds every permission, and is nevertheless told no key.
fn services_only(caller: &Authorized<AskIdentity>) -> Result<(), Status> {
    if caller.is_service() {
        return Ok(());
    }
    Err(Problem::forbidden().into())
}
