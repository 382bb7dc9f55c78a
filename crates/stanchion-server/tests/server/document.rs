use serde_json::Value;
use stanchion_server::*;

use super::api::Api;

async fn document() -> Value {
    Api::new().get("//openapi.json").await.json()
}

#[tokio::test]
async fn the_document_describes_every_route() {
    let document = document().await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut lines: Vec<String> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        lines.extend(
            item.as_object()
                .unwrap()
                .keys()
                .map(|method| format!("{method} {path}")),
        );
    }
    lines.sort();
    let expected = [
        "delete /api/v1/things/{id}",
        "get /api/v1/seen",
        "get /api/v1/sleeps/{millis}",
        "get /api/v1/things",
        "get /api/v1/things/{id}",
        "get /api/v1/watch",
        "patch /api/v1/things/{id}",
        "post /api/v1/payments",
        "post /api/v1/things",
        "post /api/v1/waits",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn an_operation_is_described_by_its_types() {
    let document = document().await;
    let operation = &document["paths"]["/api/v1/things"]["post"];
    assert_eq!(operation["operationId"], "things_make_thing");
    assert_eq!(operation["security"][0]["bearer"][0], "thing:write");
    let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(body, "#/components/schemas/NewThing");
    assert_eq!(
        document["components"]["schemas"]["NewThing"]["additionalProperties"],
        false
    );
    assert_eq!(
        document["components"]["schemas"]["Tag"]["additionalProperties"],
        false
    );
    assert!(
        document["components"]["schemas"]["Thing"]
            .get("additionalProperties")
            .is_none()
    );
    let responses = operation["responses"].as_object().unwrap();
    let statuses: Vec<_> = responses.keys().map(String::as_str).collect();
    assert_eq!(
        statuses,
        [
            "201", "400", "401", "403", "406", "409", "413", "415", "422", "429", "500", "503",
            "504"
        ]
    );
    let conflicts = responses["409"]["content"]["application/json"]["examples"]
        .as_object()
        .unwrap();
    assert_eq!(
        conflicts.keys().collect::<Vec<_>>(),
        ["NAME_TAKEN", "REQUEST_IN_PROGRESS"]
    );
    let parameters = operation["parameters"].as_array().unwrap();
    let names: Vec<_> = parameters
        .iter()
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Idempotency-Key", "X-Request-Timeout"]);
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let document = document().await;
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.trim_start_matches('#');
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let api = Api::new();
    let page = api.get("//docs").await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-security-policy")
            .contains("script-src 'self'")
    );
    assert!(
        !page.text.contains("http://") && !page.text.contains("https://"),
        "{}",
        page.text
    );
    let mut files = 0;
    for part in page
        .text
        .split(['"', '\''])
        .filter(|part| part.starts_with("/docs/"))
    {
        assert_eq!(api.get(&format!("/{part}")).await.status, 200, "{part}");
        files += 1;
    }
    assert!(files >= 4, "{}", page.text);
    let start = api.get("//docs/swagger-initializer.js").await;
    assert!(
        start.text.contains("/openapi.json") && start.text.contains("\"validatorUrl\": \"none\""),
        "{}",
        start.text
    );
}

async fn nothing(_: Anyone) -> Answer {
    Answer::no_content()
}

#[test]
#[should_panic(expected = "no argument takes {id}")]
fn a_path_parameter_that_nobody_takes_is_refused_at_start() {
    let routes = Routes::new().get("/a/{id}", op("A", nothing));
    let _ = Service::new(ServerSettings::default())
        .mount(Module::new("m").routes(routes))
        .into_router();
}

#[test]
#[should_panic(expected = "GET /api/v1/a is routed twice")]
fn a_route_that_is_there_twice_is_refused_at_start() {
    let routes = Routes::new()
        .get("/a", op("A", nothing))
        .get("/a", op("B", nothing));
    let _ = Service::new(ServerSettings::default())
        .mount(Module::new("m").routes(routes))
        .into_router();
}

#[test]
#[should_panic(expected = "not a closure")]
fn a_closure_has_no_name_to_go_by() {
    let _ = Routes::<()>::new().get("/a", op("A", async |_: Anyone| Answer::no_content()));
}
