//! C15: a process without a file left for one more connection waits for one, and neither spins nor ends.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::signals::Process;
use super::sockets::Line;

const FILES: u32 = 64;
/// More than that.
const CONNECTIONS: usize = 100;
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

async fn answered(line: &mut Line) -> bool {
    let answer = timeout(ANSWERED_WITHIN, line.answer()).await;
    matches!(answer, Ok(Some((head, _))) if head.starts_with("http/1.1 200"))
}

#[tokio::test]
async fn without_a_file_left_it_waits_and_goes_on_when_there_is_one() {
    let process = Process::start_with_files(FILES);
    let mut first = Line::open(process.address()).await;
    first.get("/seen").await;
    assert!(answered(&mut first).await);
    // The kernel takes those that the process cannot.
    let mut others = Vec::new();
    for _ in 0..CONNECTIONS {
        others.push(TcpStream::connect(process.address()).await.unwrap());
    }
    sleep(Duration::from_millis(200)).await;
    // Who is there is served, and nothing turns round and round.
    let (began, before) = (Instant::now(), process.ticks());
    while began.elapsed() < Duration::from_secs(2) {
        first.get("/seen").await;
        assert!(answered(&mut first).await, "who is there is served");
        sleep(Duration::from_millis(20)).await;
    }
    let used = process.ticks() - before;
    assert!(used < 100, "{used} of 200 hundredths of a second");
    drop(others);
    let mut later = Line::open(process.address()).await;
    later.get("/seen").await;
    assert!(answered(&mut later).await, "it accepts again");
    drop((first, later));
    process.signal();
    assert_eq!(process.code(), 0);
}
