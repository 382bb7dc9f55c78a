//! Axum without any middleware: `bare_axum ADDRESS`.

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(server::address()).await?;
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        // As ours does; without it a late acknowledgement could hold an answer back.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, server::application()).await
}
