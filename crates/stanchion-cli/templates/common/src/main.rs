//! The binary: see `__service_ident__::main`.

use stanchion::server::Stopped;

#[tokio::main]
async fn main() -> Stopped {
    __service_ident__::main().await
}
