//! What the servers in Rust have in common: the route that all languages answer, word for word.

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

/// The small answer.
#[derive(Debug, Serialize)]
pub struct Hello {
    id: String,
    message: String,
    number: u32,
}

/// `{"id":…,"message":"Hello, …!","number":42}`
pub fn hello(id: String) -> Hello {
    let message = format!("Hello, {id}!");
    Hello {
        id,
        message,
        number: 42,
    }
}

/// An ordinary axum application.
pub fn application() -> Router {
    Router::new().route("/hello/{id}", get(async |Path(id)| Json(hello(id))))
}

/// The first argument: the address to listen on.
///
/// # Panics
/// There is none.
pub fn address() -> String {
    std::env::args().nth(1).expect("usage: PROGRAM ADDRESS …")
}
