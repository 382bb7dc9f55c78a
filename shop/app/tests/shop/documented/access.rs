//! Every route × role × owner.

use stanchion::auth::Roles;

use super::{BASE, Operation, Scene, Stated, none_wrong};
use crate::support::{Answer, Caller};

/// The shop's roles, as its contract has them: written down twice, so that a change of the table is noticed.
pub(super) fn roles() -> Roles {
    let staff: &[&str] = &["*:read", "order:write", "inventory:write", "payment:refund"];
    Roles::new([
        ("customer", &[][..]),
        ("staff", staff),
        ("admin", &["admin:*"]),
    ])
    .unwrap()
}

#[tokio::test]
async fn every_operation_of_the_document_lets_in_whom_it_says_and_nobody_else() {
    let scene = Scene::set().await;
    let before = scene.state().await;
    let callers = [
        ("customer", &scene.bob),
        ("staff", &scene.staff),
        ("admin", &scene.admin),
    ];
    let mut wrong = Vec::new();
    for operation in &scene.operations {
        if let Some(why) = nobody(&scene, operation).await {
            wrong.push(format!("{}, without a token: {why}", operation.name()));
        }
        for (role, caller) in callers {
            if let Some(why) = somebody(&scene, operation, role, caller).await {
                wrong.push(format!("{}, by {role}: {why}", operation.name()));
            }
        }
    }
    none_wrong(&wrong);
    assert_eq!(scene.state().await, before, "something has changed");
}

/// Without a token only what is open answers; a write that is, such as a registration, would be done.
async fn nobody(scene: &Scene, operation: &Operation) -> Option<String> {
    if operation.stated() == Stated::Open && !operation.is_safe() {
        return None;
    }
    let path = scene.filled(operation);
    let got = begun(scene, &scene.shop.anyone(), operation, &path).await;
    match operation.stated() {
        Stated::Open => (got.status != 200).then(|| told(&got)),
        _ => (got.status != 401).then(|| told(&got)),
    }
}

/// What somebody gets who is not the owner.
async fn somebody(
    scene: &Scene,
    operation: &Operation,
    role: &str,
    caller: &Caller,
) -> Option<String> {
    let path = scene.filled(operation);
    let holds = |permission: &str| roles().permissions_of([role]).allows(permission);
    match operation.stated() {
        Stated::Open => None,
        Stated::Permission(permission) if !holds(&permission) => {
            let got = begun(scene, caller, operation, &path).await;
            (got.status != 403).then(|| told(&got))
        }
        Stated::Policy(permission) if operation.has_object() && !holds(&permission) => {
            absent(scene, operation, caller).await
        }
        // What the caller's own is, and whose own this is, is not in the document: a customer is the stranger.
        Stated::Token if operation.has_object() && role == "customer" => {
            absent(scene, operation, caller).await
        }
        // Whoever may, may: that is tried where it changes nothing.
        _ if operation.is_safe() && (role != "customer" || !operation.has_object()) => {
            let got = begun(scene, caller, operation, &path).await;
            let refused = matches!(got.status, 401 | 403) || got.status >= 500;
            // A session belongs to its user, whatever somebody else may.
            let own = operation.stated() == Stated::Token;
            (refused && !own).then(|| told(&got))
        }
        _ => None,
    }
}

/// A foreign object is as absent as one that never was: the same status, the same words.
async fn absent(scene: &Scene, operation: &Operation, caller: &Caller) -> Option<String> {
    let theirs = scene.of_ada(&operation.path)?;
    let nobodys = stanchion::runtime::id::new_v7().to_string();
    let mut said = Vec::new();
    for id in [&theirs, &nobodys] {
        let got = begun(scene, caller, operation, &operation.with(id)).await;
        if got.status != 404 {
            return Some(told(&got));
        }
        said.push(got.json()["error"].to_string().replace(id.as_str(), "ID"));
    }
    (said[0] != said[1]).then(|| format!("it tells them apart: {}", said.join(" and ")))
}

/// The answer, but of a stream its head alone.
async fn begun(scene: &Scene, who: &Caller, operation: &Operation, path: &str) -> Answer {
    let response = scene.ask(who, operation, path).open().await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let kind = headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok());
    let streams = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
    let text = if streams {
        String::new()
    } else {
        response.text().await.unwrap()
    };
    Answer {
        asked: operation.name(),
        status,
        headers,
        text,
    }
}

fn told(got: &Answer) -> String {
    format!("{} {}", got.status, got.text)
}

#[tokio::test]
async fn the_owner_reaches_what_is_the_owners() {
    let scene = Scene::set().await;
    let mut wrong = Vec::new();
    let own = scene
        .operations
        .iter()
        .filter(|operation| operation.is_safe());
    for operation in own.filter(|operation| operation.path.starts_with(BASE)) {
        if matches!(operation.stated(), Stated::Permission(_)) {
            continue;
        }
        let path = scene.filled(operation);
        let got = begun(&scene, &scene.ada, operation, &path).await;
        if got.status != 200 {
            wrong.push(format!("{}: {}", operation.name(), told(&got)));
        }
    }
    none_wrong(&wrong);
}
