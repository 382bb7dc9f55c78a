//! Real signals to a real process: this test binary itself, run again as a service.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stanchion_server::{Service, Stopped};
use tokio::time::Instant;

use super::shop::service;
use super::sockets::Line;

/// Not a test of its own: what the others start. Does nothing unless it is told how to begin.
#[test]
fn child() {
    let Ok(beginning) = std::env::var("STANCHION_TEST_CHILD") else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let code = runtime.block_on(async {
        let build = async {
            if beginning == "hangs" {
                println!("\nstarting");
                std::future::pending::<()>().await;
            }
            Ok::<Service, Stopped>(service().on_started(|addresses| {
                println!("\nlistening {}", addresses.public.unwrap());
            }))
        };
        stanchion_server::run(build).await.code()
    });
    std::process::exit(code.into());
}

pub struct Process {
    child: Child,
    line: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Of a test that failed; else it has ended before.
        let _ended = self.child.kill();
    }
}

impl Process {
    /// Starts it and waits for its first word.
    fn start(beginning: &str) -> Self {
        Self::start_as(beginning, Command::new(std::env::current_exe().unwrap()))
    }

    /// The same with so many files at most.
    pub fn start_with_files(files: u32) -> Self {
        let mut shell = Command::new("sh");
        let limited = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        shell.args(["-c", &limited]);
        shell.arg(std::env::current_exe().unwrap());
        Self::start_as("serves", shell)
    }

    fn start_as(beginning: &str, mut command: Command) -> Self {
        let mut child = command
            .args(["--exact", "signals::child", "--nocapture"])
            .env("STANCHION_TEST_CHILD", beginning)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = |line: &String| line.starts_with("starting") || line.starts_with("listening");
        let line = lines
            .map_while(Result::ok)
            .find(first)
            .expect("it says something");
        Self { child, line }
    }

    pub fn signal(&self) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
    }

    pub fn code(mut self) -> i32 {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            assert!(began.elapsed() < Duration::from_secs(20), "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn address(&self) -> SocketAddr {
        let address = self.line.strip_prefix("listening ");
        address.unwrap().parse().unwrap()
    }

    /// The processor time that it has used, in hundredths of a second.
    pub fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name: state, and ten numbers before those of user and system.
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks = fields.split(' ').skip(11).take(2);
        ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    async fn get(&self, path: &str) -> Line {
        let mut line = Line::open(self.address()).await;
        line.get(path).await;
        line
    }
}

#[tokio::test]
async fn sigterm_finishes_what_was_begun_and_exits_cleanly() {
    let process = Process::start("serves");
    let mut line = process.get("/sleeps/1500").await;
    // Long enough for another process on a busy machine to begin it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    process.signal();
    assert!(line.answer().await.unwrap().0.starts_with("http/1.1 200"));
    assert_eq!(process.code(), 0);
}

#[test]
fn sigterm_while_starting_is_a_clean_end() {
    let process = Process::start("hangs");
    process.signal();
    assert_eq!(process.code(), 0);
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let process = Process::start("serves");
    let _stuck = process.get("/sleeps/600000").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    process.signal();
    std::thread::sleep(Duration::from_millis(300));
    process.signal();
    assert_eq!(process.code(), 1);
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}
