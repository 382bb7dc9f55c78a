use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use utoipa_swagger_ui::Config;

use crate::codes;

/// Where the page's files are.
const HOME: &str = "/docs/";

/// The page runs its own files and asks this server, nobody else. Swagger UI styles elements inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; \
    base-uri 'none'; form-action 'none'";

/// Whether the path may be one of [`router`]'s.
pub(crate) fn is_document(path: &str) -> bool {
    path == "/openapi.json" || path == "/docs" || path.starts_with(HOME)
}

/// `/openapi.json` and `/docs`.
pub(crate) fn router(document: &Value) -> Router {
    let document: Arc<[u8]> = serde_json::to_vec(document).unwrap_or_default().into();
    // Without this, Swagger UI asks a validator on the internet about our document.
    let config = Config::from("/openapi.json")
        .validator_url("none")
        .try_it_out_enabled(true);
    let config = Arc::new(config);
    let page = config.clone();
    Router::new()
        .route("/openapi.json", get(async move || json(&document)))
        .route("/docs", get(async move || file("index.html", page)))
        .route(
            "/docs/{*file}",
            get(async move |Path(name): Path<String>| file(&name, config)),
        )
}

fn json(document: &Arc<[u8]>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    (headers, axum::body::Body::from(document.to_vec())).into_response()
}

fn file(name: &str, config: Arc<Config<'static>>) -> Response {
    let Ok(Some(file)) = utoipa_swagger_ui::serve(name, config) else {
        return codes::ROUTE_NOT_FOUND.problem().into_response();
    };
    let mut bytes = file.bytes.into_owned();
    if name == "index.html" {
        // The page is at /docs itself, so that what it loads is named from the root.
        bytes = String::from_utf8_lossy(&bytes)
            .replace("\"./", &format!("\"{HOME}"))
            .replace("href=\"index.css", &format!("href=\"{HOME}index.css"))
            .into_bytes();
    }
    let mut headers = HeaderMap::new();
    if let Ok(content_type) = HeaderValue::from_str(&file.content_type) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    (headers, bytes).into_response()
}
