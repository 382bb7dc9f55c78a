//! Tonic without any middleware: `bare_tonic ADDRESS`.

use tonic::transport::Server;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().tcp_nodelay(true).add_service(server::Checks);
    Ok(server.serve(server::address().parse()?).await?)
}
