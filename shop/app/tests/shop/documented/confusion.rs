//! Methods, content types, versions and origins that an operation does not take.

use std::collections::BTreeMap;

use reqwest::Method;

use super::{Operation, Scene, Stated, ask, none_wrong};

/// An origin that nobody allowed.
const ORIGIN: &str = "https://evil.example";

#[tokio::test]
async fn a_path_takes_the_methods_of_the_document_and_says_which() {
    let scene = Scene::set().await;
    let before = scene.state().await;
    let mut by_path: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in &scene.operations {
        by_path.entry(&operation.path).or_default().push(operation);
    }
    let mut wrong = Vec::new();
    for (template, operations) in by_path {
        let path = scene.filled(operations[0]);
        for method in [
            "GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get",
        ] {
            let known = operations
                .iter()
                .any(|operation| operation.method.as_str() == method);
            if known {
                continue;
            }
            let method: Method = method.parse().unwrap();
            let got = ask(&scene.admin, method.clone(), &path).send().await;
            let allowed: Vec<_> = got
                .header("allow")
                .unwrap_or_default()
                .split(',')
                .map(str::trim)
                .collect();
            let named = operations
                .iter()
                .all(|operation| allowed.contains(&operation.method.as_str()));
            // `/users/me` is a user's place with a name of its own: what it lacks, `/users/{id}` refuses.
            let other = template.ends_with("/me") && got.status == 400;
            if !other && (got.status != 405 || !named) {
                wrong.push(format!(
                    "{method} {template}: {} allow {allowed:?}",
                    got.status
                ));
            }
        }
    }
    none_wrong(&wrong);
    assert_eq!(scene.state().await, before, "something has changed");
}

#[tokio::test]
async fn a_body_in_another_form_is_refused_before_it_is_read() {
    let scene = Scene::set().await;
    let before = scene.state().await;
    let mut wrong = Vec::new();
    for operation in &scene.operations {
        // What the gateway signs are bytes, whatever they are called; they are nothing without the signature.
        if operation.path.ends_with("/webhook") {
            continue;
        }
        let Some((kind, body)) = operation.body(&scene.document) else {
            continue;
        };
        let path = scene.filled(operation);
        let others = [
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("application/xml"),
            Some("application/jsonp"),
            Some("application/json, text/plain"),
            Some("application/json; charset=utf-16"),
            Some("application/json; charset=utf-7"),
            None,
        ];
        for other in others
            .into_iter()
            .filter(|other| *other != Some(kind.as_str()))
        {
            let ask = operation.ask(&scene.admin, &path);
            let ask = other.map_or(operation.ask(&scene.admin, &path), |other| {
                ask.header("content-type", other)
            });
            let got = ask.body(body.to_string()).send().await;
            if got.status != 415 {
                wrong.push(format!(
                    "{} as {other:?}: {} {}",
                    operation.name(),
                    got.status,
                    got.text
                ));
            }
        }
    }
    none_wrong(&wrong);
    assert_eq!(scene.state().await, before, "something has changed");
}

#[tokio::test]
async fn a_write_on_a_version_that_is_gone_changes_nothing() {
    let scene = Scene::set().await;
    let before = scene.state().await;
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for operation in scene
        .operations
        .iter()
        .filter(|operation| operation.takes("header", "If-Match"))
    {
        tried += 1;
        let path = scene.filled(operation);
        for etag in [
            "\"999999\"",
            "W/\"0\"",
            "\"\"",
            "\"999998\", \"999999\"",
            "nonsense",
        ] {
            let got = scene
                .ask(&scene.admin, operation, &path)
                .header("if-match", etag)
                .send()
                .await;
            if !matches!(got.status, 400 | 412) {
                wrong.push(format!(
                    "{} with {etag}: {} {}",
                    operation.name(),
                    got.status,
                    got.text
                ));
            }
        }
    }
    none_wrong(&wrong);
    assert!(tried >= 5, "{tried} operations on versions");
    assert_eq!(scene.state().await, before, "something has changed");
}

#[tokio::test]
async fn of_two_who_saw_the_same_version_one_changes_it() {
    let scene = Scene::set().await;
    let path = format!("/users/{}", scene.ada.id);
    let etag = scene.ada.get(&path).send().await.expect(200).etag();
    let rename = |name: &str| {
        let body = serde_json::json!({"first_name": name});
        scene
            .ada
            .patch(&path)
            .header("if-match", &etag)
            .json(&body)
            .send()
    };
    let (one, other) = tokio::join!(rename("Augusta"), rename("Byron"));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412], "{} and {}", one.text, other.text);
    let name = if one.status == 200 {
        "Augusta"
    } else {
        "Byron"
    };
    let now = scene.ada.get(&path).send().await.expect(200);
    assert_eq!(now.text_at("/first_name"), name);
}

#[tokio::test]
async fn an_origin_that_nobody_allowed_is_not_reflected_by_any_operation() {
    let scene = Scene::set().await;
    let mut wrong = Vec::new();
    for operation in &scene.operations {
        let path = scene.filled(operation);
        for origin in [ORIGIN, "null", "http://localhost.evil.example"] {
            let plain = operation.stated() == Stated::Open && operation.is_safe();
            let asked = [
                plain.then(|| ask(&scene.shop.anyone(), Method::GET, &path)),
                Some(
                    ask(&scene.shop.anyone(), Method::OPTIONS, &path)
                        .header("access-control-request-method", operation.method.as_str())
                        .header("access-control-request-headers", "authorization"),
                ),
            ];
            for ask in asked.into_iter().flatten() {
                let got = ask.header("origin", origin).send().await;
                let reflects = got.headers.keys().any(|name| {
                    let name = name.as_str();
                    name == "access-control-allow-origin"
                        || name == "access-control-allow-credentials"
                });
                if reflects {
                    wrong.push(format!("{} from {origin}", got.asked));
                }
            }
        }
    }
    none_wrong(&wrong);
}
