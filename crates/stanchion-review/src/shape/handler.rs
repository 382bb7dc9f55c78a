//! Functions that answer requests, and what they are given.

use super::is_async;
use crate::model::Language;
use crate::node::Node;

/// Parameters of a Go function: name and type.
pub(crate) fn go_parameters(function: Node<'_>) -> Vec<(&str, Node<'_>)> {
    let Some(list) = function.field("parameters") else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for declaration in list.named().filter(|node| node.is("parameter_declaration")) {
        let Some(kind) = declaration.field("type") else {
            continue;
        };
        let names: Vec<_> = declaration
            .named()
            .filter(|node| node.is("identifier"))
            .collect();
        if names.is_empty() {
            all.push(("", kind));
        }
        all.extend(names.into_iter().map(|name| (name.text(), kind)));
    }
    all
}

/// Name of the `context.Context` of a Go function.
pub(crate) fn go_context(function: Node<'_>) -> Option<&str> {
    go_parameters(function)
        .into_iter()
        .find(|(name, kind)| kind.text() == "context.Context" && !["", "_"].contains(name))
        .map(|(name, _)| name)
}

/// Whether a function answers one request: its signature takes what only servers give.
pub(crate) fn is_handler(function: Node<'_>) -> bool {
    match function.source().language {
        Language::Rust => rust_handler(function),
        Language::Go => go_parameters(function).iter().any(|(_, kind)| {
            let text = kind.text();
            [
                "http.ResponseWriter",
                "*gin.Context",
                "echo.Context",
                "*fiber.Ctx",
                "*fasthttp.RequestCtx",
            ]
            .contains(&text)
        }),
        _ => false,
    }
}

fn rust_handler(function: Node<'_>) -> bool {
    let parameters = function.field_text("parameters");
    let source = function.source();
    let extractors = [
        "State<",
        "Json<",
        "Path<",
        "Query<",
        "Form<",
        "Extension<",
        "web::Data<",
        "HttpRequest",
        "TypedHeader<",
    ];
    let framework = source.has_any(&[
        "axum",
        "actix_web",
        "rocket",
        "poem",
        "salvo",
        "ntex",
        "warp",
    ]);
    let grpc = parameters.contains("Request<")
        && function.field_text("return_type").contains("Response<")
        && source.has("tonic");
    let extracted = framework
        && extractors
            .iter()
            .any(|extractor| parameters.contains(extractor));
    grpc || (extracted && is_async(function))
}
