//! Other ways to spell a request: what must not be called cannot be called by another name.

use std::time::Duration;

use super::{Operation, Scene, Stated, ask, none_wrong};
use crate::support::{Answer, Caller, raw};

/// More than an answer takes; connections are closed by what they say.
const WITHIN: Duration = Duration::from_secs(5);

/// A path by other spellings that a lenient router would take for the same, or a proxy before it for another.
fn spellings(path: &str) -> Vec<String> {
    let (start, last) = path.rsplit_once('/').unwrap();
    let first = path[1..].chars().next().unwrap();
    vec![
        path.to_uppercase(),
        format!("{path}/"),
        format!("/{path}"),
        format!("{start}//{last}"),
        format!("{start}/./{last}"),
        format!("{start}/x/../{last}"),
        format!("/x/..{path}"),
        format!("/products/..{path}"),
        format!("{start}/%2e/{last}"),
        format!("{start}/x/%2e%2e/{last}"),
        format!("{start}%2f{last}"),
        format!("{start}%5c{last}"),
        format!("{start}\\{last}"),
        format!("/%{:02x}{}", first as u32, &path[2..]),
        format!("{path};x=1"),
        format!("{path}%00"),
        format!("{path}%20"),
        format!("{path}."),
        format!("{path}.json"),
        format!("{path}#/products"),
        format!("http://localhost{path}"),
        format!("{path}?access_token=none&_method=GET"),
    ]
}

async fn raw_ask(scene: &Scene, who: &Caller, method: &str, path: &str, more: &str) -> Answer {
    let address = &scene.shop.address;
    let bearer = match who.token.as_str() {
        "" => String::new(),
        token => format!("authorization: Bearer {token}\r\n"),
    };
    let key = stanchion::runtime::id::new_v7();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\n{bearer}{more}idempotency-key: {key}\r\nconnection: \
         close\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let text = raw::exchange(address, request.as_bytes(), WITHIN).await;
    raw::parse(&format!("{method} {path}"), &text)
}

#[tokio::test]
async fn no_spelling_of_a_path_opens_what_is_closed() {
    let scene = Scene::set().await;
    let before = scene.state().await;
    let mut wrong = Vec::new();
    for operation in scene
        .operations
        .iter()
        .filter(|operation| closed(operation))
    {
        let path = scene.filled(operation);
        for spelling in spellings(&path) {
            let method = operation.method.as_str();
            let anyone = raw_ask(&scene, &scene.shop.anyone(), method, &spelling, "").await;
            let theirs = operation.has_object() && operation.method != "GET";
            let mut got = vec![("nobody", anyone)];
            if theirs {
                got.push((
                    "a stranger",
                    raw_ask(&scene, &scene.bob, method, &spelling, "").await,
                ));
            }
            for (who, answer) in got {
                // 0: the connection was closed without a word.
                let refused = answer.status == 0 || (400..500).contains(&answer.status);
                if !refused {
                    wrong.push(format!("{who}: {}: {}", answer.asked, answer.status));
                }
            }
        }
    }
    none_wrong(&wrong);
    assert_eq!(scene.state().await, before, "something has changed");
}

#[tokio::test]
async fn no_header_or_parameter_makes_another_method_of_a_request() {
    let scene = Scene::set().await;
    let before = scene.state().await;
    let mut wrong = Vec::new();
    let overrides = [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    ];
    for operation in scene
        .operations
        .iter()
        .filter(|operation| !operation.is_safe())
    {
        let path = scene.filled(operation);
        let read = scene
            .operations
            .iter()
            .find(|other| other.is_safe() && other.path == operation.path);
        let method = operation.method.as_str();
        for name in overrides {
            let get = ask(
                &scene.admin,
                reqwest::Method::GET,
                &format!("{path}?_method={method}"),
            );
            let got = get.header(name, method).send().await;
            // As the plain request does, whatever else it says: 200, or 405 where there is nothing to read.
            let parameters = got.status == 400 && got.code() == "INVALID_PARAMETER";
            let plain = ask(&scene.admin, reqwest::Method::GET, &path)
                .header(name, method)
                .send()
                .await;
            let wanted = if read.is_some() { 200 } else { 405 };
            let fits = plain.status == wanted
                || (plain.status == 404 && wanted == 405)
                || plain.status == 400;
            if !fits || !(parameters || got.status == plain.status) {
                wrong.push(format!(
                    "{}, {name}: {} and {}",
                    operation.name(),
                    plain.status,
                    got.status
                ));
            }
        }
    }
    none_wrong(&wrong);
    assert_eq!(scene.state().await, before, "something has changed");
}

fn closed(operation: &Operation) -> bool {
    operation.stated() != Stated::Open
}
