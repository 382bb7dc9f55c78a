//! gRPC: `user.v1`. Each method is its REST operation: what came as a message is read by the same rules, and what is
//! answered is the same view in another form.

mod for_services;
mod messages;
mod stream_users;
mod update_user;

use std::pin::Pin;
use std::sync::Arc;

use axum::extract::State;
use futures_util::Stream;
use serde_json::json;
use shop_contracts::grpc::MESSAGE_BYTES_MAX;
use shop_contracts::grpc::user::v1 as pb;
use shop_contracts::grpc::user::v1::user_service_server::{UserService, UserServiceServer};
use shop_kernel::UserId;
use stanchion::server::{
    Answer, Anyone, Authorized, Body, Caller, Grpc, IfMatch, Listed, Listing, PathId, Problem,
    answered, grpc_methods, metadata, respond,
};
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

pub(crate) use for_services::SUBJECTS_MAX;
pub(crate) use for_services::service as for_services;

use super::http::users::{
    NewUser, ReadUsers, delete_user, describe, get_me, get_user, list_users, register,
};
use super::http::views::UserView;
use crate::application::Identity;

/// The service; its methods say who may call them.
pub(crate) fn service(identity: Arc<Identity>) -> Grpc {
    let server = UserServiceServer::new(UserApi { identity })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    Grpc::stated_by::<UserApi>(server, pb::DESCRIPTORS)
}

struct UserApi {
    identity: Arc<Identity>,
}

grpc_methods! {
    impl UserService for UserApi {
        type StreamUsersStream =
            Pin<Box<dyn Stream<Item = Result<pb::StreamUsersResponse, Status>> + Send>>;

        async fn get_user(
            &self,
            caller: Caller,
            request: Request<pb::GetUserRequest>,
        ) -> Result<Response<pb::User>, Status> {
            answered(self.get(caller, &request.get_ref().id).await)
        }

        async fn create_user(
            &self,
            anyone: Anyone,
            request: Request<pb::CreateUserRequest>,
        ) -> Result<Response<pb::User>, Status> {
            let new = new_user(request.into_inner())?;
            answered(register(anyone, self.state(), new).await)
        }

        async fn update_user(
            &self,
            caller: Caller,
            request: Request<pb::UpdateUserRequest>,
        ) -> Result<Response<pb::User>, Status> {
            answered(self.update(caller, request.into_inner()).await)
        }

        async fn delete_user(
            &self,
            caller: Caller,
            request: Request<pb::DeleteUserRequest>,
        ) -> Result<Response<()>, Status> {
            let asked = request.get_ref();
            let id = PathId(user_id(&asked.id)?);
            let if_match = IfMatch::version(asked.expected_version);
            let deleted = delete_user(caller, self.state(), id, if_match).await;
            respond(deleted.map(drop))
        }

        async fn list_users(
            &self,
            caller: Authorized<ReadUsers>,
            request: Request<pb::ListUsersRequest>,
        ) -> Result<Response<pb::ListUsersResponse>, Status> {
            respond(self.list(caller, request).await.map(messages::listed))
        }

        async fn stream_users(
            &self,
            _: Authorized<ReadUsers>,
            request: Request<pb::StreamUsersRequest>,
        ) -> Result<Response<Self::StreamUsersStream>, Status> {
            let listing = Listing::of(messages::stream_parameters(request.into_inner())?)?;
            let users = stream_users::stream(Arc::clone(&self.identity), listing);
            Ok(Response::new(Box::pin(users)))
        }
    }
}

impl UserApi {
    fn state(&self) -> State<Arc<Identity>> {
        State(Arc::clone(&self.identity))
    }

    async fn get(&self, caller: Caller, id: &str) -> Result<Answer<UserView>, Problem> {
        if id == "me" {
            return get_me(caller, self.state()).await;
        }
        get_user(caller, self.state(), PathId(user_id(id)?)).await
    }

    async fn update(
        &self,
        caller: Caller,
        asked: pb::UpdateUserRequest,
    ) -> Result<Answer<UserView>, Problem> {
        let id = user_id(&asked.id)?;
        let if_match = IfMatch::version(asked.expected_version);
        let changes = update_user::Changes::of(asked)?;
        describe(&self.identity, &caller, id, &if_match, |now| {
            changes.apply(now)
        })
        .await
    }

    async fn list(
        &self,
        caller: Authorized<ReadUsers>,
        request: Request<pb::ListUsersRequest>,
    ) -> Result<Listed<UserView>, Problem> {
        let consistency = metadata(request.metadata()).await?;
        let listing = Listing::of(messages::parameters(request.into_inner())?)?;
        list_users(caller, self.state(), consistency, listing).await
    }
}

/// The message by the rules of REST's body.
fn new_user(asked: pb::CreateUserRequest) -> Result<Body<NewUser>, Problem> {
    Body::of(json!({
        "email": asked.email,
        "username": asked.username,
        "password": asked.password,
        "first_name": asked.first_name,
        "last_name": asked.last_name,
    }))
}

fn user_id(text: &str) -> Result<UserId, Problem> {
    let parsed = text.parse();
    parsed.map_err(|error| Problem::invalid_parameter("id", error))
}
