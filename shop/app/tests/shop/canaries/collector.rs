//! Somebody who takes whatever is posted to it, and keeps the bytes as they came.

use std::sync::Arc;

use parking_lot::Mutex;
use stanchion::runtime::task::{Task, spawn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Stands for a collector of traces, or for a gateway that has a bad day.
pub(super) struct Collector {
    pub(super) address: String,
    taken: Arc<Mutex<Vec<u8>>>,
    accepting: Task<()>,
}

impl Collector {
    /// Answers everything with this status and an empty body.
    pub(super) async fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&taken);
        let accepting = spawn("collector", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                drop(spawn("collected", take(stream, status, kept)));
            }
        });
        Self {
            address,
            taken,
            accepting,
        }
    }

    pub(super) fn taken(&self) -> Vec<u8> {
        self.taken.lock().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One request a connection is enough: it says so.
async fn take(mut stream: TcpStream, status: &str, kept: Arc<Mutex<Vec<u8>>>) {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut piece).await {
        bytes.extend_from_slice(&piece[..read]);
        if is_whole(&bytes) {
            break;
        }
    }
    kept.lock().extend_from_slice(&bytes);
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    bytes.len() >= end + 4 + length
}
