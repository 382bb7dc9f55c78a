//! Users: changing, deleting, listing, and every one of them as a stream.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use prost_types::FieldMask;
use shop_contracts::grpc::user::v1::{
    CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, StreamUsersRequest,
    StreamUsersResponse, UpdateUserRequest,
};
use tonic::{Code, Status};

use crate::support::grpc::{Clients, refused, violations};
use crate::support::{Caller, PASSWORD, Shop};

/// More than are read at a time, and some.
const MANY: usize = 130;

/// Registrations at once: hashing is what takes time.
const AT_ONCE: usize = 4;

#[tokio::test]
async fn a_stream_tells_everybody_once_and_goes_on_where_it_was_left() {
    let cheap = [("SHOP__IDENTITY__HASH_MEMORY_KIB", "8")];
    let shop = Shop::start_with(&cheap).await;
    let grpc = shop.grpc().await;
    let staff = shop.staff("grace").await;
    register(&grpc, 0..MANY).await;

    let whole = streamed(&grpc, &staff, StreamUsersRequest::default())
        .await
        .unwrap();
    let ids: BTreeSet<_> = whole.iter().map(id).collect();
    // With the administrator and the one who asks.
    assert_eq!((whole.len(), ids.len()), (MANY + 2, MANY + 2));
    assert_eq!(whole[0].user.as_ref().unwrap().username, "admin");

    for left_at in [0, 98, 99, 100, MANY] {
        let cursor = Some(whole[left_at].cursor.clone());
        let from = StreamUsersRequest {
            cursor,
            ..Default::default()
        };
        let rest = streamed(&grpc, &staff, from).await.unwrap();
        let rest: Vec<_> = rest.iter().map(id).collect();
        let expected: Vec<_> = whole[left_at + 1..].iter().map(id).collect();
        assert_eq!(rest, expected, "left at {left_at}");
    }

    register(&grpc, MANY..MANY + 1).await;
    let later = StreamUsersRequest {
        cursor: Some(whole.last().unwrap().cursor.clone()),
        ..Default::default()
    };
    let came_since = streamed(&grpc, &staff, later).await.unwrap();
    assert_eq!(came_since.len(), 1);
    assert_eq!(
        came_since[0].user.as_ref().unwrap().username,
        format!("user{MANY}")
    );
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list() {
    let shop = Shop::start().await;
    let mut grpc = shop.grpc().await;
    let staff = shop.staff("grace").await;
    let listing = ListUsersRequest {
        limit: Some(1),
        ..Default::default()
    };
    let listed = grpc.users.list_users(staff.call(listing)).await.unwrap();
    let listed = listed.into_inner();
    assert_eq!((listed.users.len(), listed.total), (1, Some(2)));
    let next = ListUsersRequest {
        cursor: listed.next_cursor.clone(),
        ..Default::default()
    };
    let next = grpc
        .users
        .list_users(staff.call(next))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (next.users.len(), next.total, next.next_cursor),
        (1, None, None)
    );
    let foreign = StreamUsersRequest {
        cursor: listed.next_cursor,
        ..Default::default()
    };
    let foreign = streamed(&grpc, &staff, foreign).await;
    assert_eq!(
        refused(foreign),
        (Code::InvalidArgument, "INVALID_CURSOR".to_owned())
    );
}

#[tokio::test]
async fn a_profile_changes_by_what_is_set_or_by_the_mask() {
    let shop = Shop::start().await;
    let mut grpc = shop.grpc().await;
    let ada = shop.customer("ada").await;
    let mut update = async |request: UpdateUserRequest, mask: &[&str]| {
        let paths = mask.iter().map(|path| (*path).to_owned()).collect();
        let request = UpdateUserRequest {
            id: ada.id.clone(),
            update_mask: (!mask.is_empty()).then_some(FieldMask { paths }),
            ..request
        };
        let updated = grpc.users.update_user(ada.call(request)).await;
        updated.map(tonic::Response::into_inner)
    };
    let named = UpdateUserRequest {
        first_name: Some("  Ada ".into()),
        last_name: Some("King".into()),
        ..Default::default()
    };
    let user = update(named, &[]).await.unwrap();
    assert_eq!(
        (user.first_name(), user.last_name(), user.username.as_str()),
        ("Ada", "King", "ada")
    );
    let both = UpdateUserRequest {
        first_name: Some("Augusta".into()),
        email: Some("ignored@example.com".into()),
        ..Default::default()
    };
    let user = update(both, &["first_name", "last_name"]).await.unwrap();
    assert_eq!(
        (user.first_name(), user.last_name.as_deref()),
        ("Augusta", None)
    );
    assert_eq!(user.email, "ada@example.com");
    let found = violations(update(UpdateUserRequest::default(), &["roles"]).await);
    assert!(found.contains_key("update_mask"), "{found:?}");
    let found = violations(update(UpdateUserRequest::default(), &["email"]).await);
    assert!(found.contains_key("email"), "{found:?}");
}

#[tokio::test]
async fn a_deleted_user_is_gone_with_its_sessions() {
    let shop = Shop::start().await;
    let mut grpc = shop.grpc().await;
    let ada = shop.customer("ada").await;
    let me = || ada.call(GetUserRequest { id: "me".into() });
    grpc.users.get_user(me()).await.unwrap();
    let stale = DeleteUserRequest {
        id: ada.id.clone(),
        expected_version: Some(99),
    };
    let stale = grpc.users.delete_user(ada.call(stale)).await;
    assert_eq!(refused(stale).0, Code::Aborted);
    let deleting = DeleteUserRequest {
        id: ada.id.clone(),
        expected_version: None,
    };
    grpc.users.delete_user(ada.call(deleting)).await.unwrap();
    assert_eq!(
        refused(grpc.users.get_user(me()).await).0,
        Code::Unauthenticated
    );
}

async fn register(grpc: &Clients, numbers: std::ops::Range<usize>) {
    let registering = stream::iter(numbers).for_each_concurrent(AT_ONCE, |number| async move {
        let new = CreateUserRequest {
            email: format!("user{number}@example.com"),
            username: format!("user{number}"),
            password: PASSWORD.into(),
            ..Default::default()
        };
        grpc.users.clone().create_user(new).await.unwrap();
    });
    registering.await;
}

async fn streamed(
    grpc: &Clients,
    caller: &Caller,
    request: StreamUsersRequest,
) -> Result<Vec<StreamUsersResponse>, Status> {
    let users = grpc
        .users
        .clone()
        .stream_users(caller.call(request))
        .await?;
    users.into_inner().try_collect().await
}

fn id(told: &StreamUsersResponse) -> String {
    told.user.as_ref().unwrap().id.clone()
}
