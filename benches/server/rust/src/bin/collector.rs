//! Takes traces and forgets them: `collector ADDRESS`.

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(server::address()).await?;
    let router = Router::new().route("/v1/traces", post(async |_: Bytes| ()));
    axum::serve(listener, router).await
}
