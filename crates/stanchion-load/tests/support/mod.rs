//! A server that answers all alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stanchion_load::Target;
use stanchion_runtime::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers with `answer`, and closes each connection after so many of them without saying so.
pub(crate) async fn server(answer: &'static str, answers_max: u64) -> (Target, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a loopback port is free");
    let url = listener.local_addr().expect("it is bound");
    let url = format!("http://{url}");
    let served = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&served);
    let _accepting = task::spawn("server", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            let _serving = task::spawn("serving", serve(stream, answer, answers_max, count));
        }
    });
    (
        Target::parse(&url).expect("it is a loopback address"),
        served,
    )
}

async fn serve(mut stream: TcpStream, answer: &str, answers_max: u64, served: Arc<AtomicU64>) {
    let mut buffer = vec![0; 4096];
    for _ in 0..answers_max {
        let mut filled = 0;
        while !buffer[..filled].windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut buffer[filled..]).await {
                Ok(read) if read > 0 => filled += read,
                _ => return,
            }
        }
        served.fetch_add(1, Ordering::Relaxed);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
