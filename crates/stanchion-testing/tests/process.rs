//! A child process, with shell scripts in the place of a service.
#![allow(clippy::unwrap_used, reason = "a test may die")]

use std::{
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    time::Duration,
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use stanchion_testing::process::{Kept, Launch, ServiceProcess, Signal, free_port};

const DEADLINE: Duration = Duration::from_secs(20);

/// Set where this program is started by a test of its own, to start a service and be ended.
const STARTER: &str = "STANCHION_TEST_STARTER";

#[tokio::test]
async fn what_a_child_prints_can_be_read_while_it_runs_and_after() {
    let mut child =
        shell("trap 'echo bye; exit 0' TERM; echo out; echo err >&2; while :; do sleep 0.01; done")
            .spawn()
            .unwrap();
    let said = tokio::time::timeout(DEADLINE, async {
        while !child.stderr().contains("err") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    said.await.expect("it never says so");
    assert_eq!(child.stdout(), "out\n");
    assert!(child.terminate(DEADLINE).await.unwrap().success());
    assert_eq!(child.stdout(), "out\nbye\n");
}

#[tokio::test]
async fn a_child_that_ends_early_is_reported_with_its_output() {
    let launch = shell("echo no such table >&2; exit 2")
        .ready_when(format!("http://127.0.0.1:{}/ready", free_port().unwrap()));
    let error = launch.start(DEADLINE).await.unwrap_err().to_string();
    assert!(
        error.contains("exit status: 2") && error.contains("no such table"),
        "{error}"
    );
}

#[tokio::test]
async fn a_child_is_ready_when_its_url_answers_200() {
    let port = free_port().unwrap();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
    let launch = shell("sleep 60").ready_when(format!("http://127.0.0.1:{port}/ready"));
    let mut child = launch.spawn().unwrap();
    let answers = async {
        for answer in ["503 Service Unavailable", "200 OK"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            // Closing with the question unread would reset the connection.
            let _question = stream.read(&mut [0; 1024]).await.unwrap();
            let head = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
        }
    };
    let (ready, ()) = tokio::join!(child.ready(DEADLINE), answers);
    assert!(ready.unwrap() < DEADLINE);
}

#[tokio::test]
async fn a_killed_child_says_nothing_and_a_stopped_one_goes_on() {
    let mut child = shell("trap 'echo bye' EXIT; while :; do sleep 0.01; done")
        .spawn()
        .unwrap();
    child.signal(Signal::Stop).unwrap();
    child.signal(Signal::Continue).unwrap();
    assert_eq!(child.kill().unwrap().signal(), Some(9));
    assert_eq!(child.stdout(), "");
    child.signal(Signal::Terminate).unwrap();
}

#[tokio::test]
async fn the_environment_of_the_developer_does_not_reach_a_child() {
    let mut child = shell("env")
        .env("SHOP__ENVIRONMENT", "dev")
        .spawn()
        .unwrap();
    child.wait(DEADLINE).await.unwrap();
    assert!(child.stdout().contains("SHOP__ENVIRONMENT=dev"));
    assert!(!child.stdout().contains("CARGO_MANIFEST_DIR"));
}

fn shell(script: &str) -> Launch {
    Launch::new("sh").arg("-c").arg(script)
}

#[test]
fn no_port_is_handed_out_twice_and_none_that_somebody_listens_on() {
    let first = free_port().unwrap();
    let taken = std::net::TcpListener::bind(("127.0.0.1", first + 1));
    let ports: Vec<u16> = (0..50).map(|_| free_port().unwrap()).collect();
    let unique: std::collections::BTreeSet<u16> = ports.iter().copied().collect();
    assert_eq!(unique.len(), 50);
    assert!(!unique.contains(&first));
    assert!(taken.is_err() || !unique.contains(&(first + 1)));
}

#[tokio::test]
async fn a_ctrl_c_in_the_terminal_does_not_reach_a_child() {
    let child = shell("sleep 60").spawn().unwrap();
    // A terminal's Ctrl-C goes to one process group.
    assert_eq!(group_of(child.pid()), child.pid());
}

fn group_of(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the name in parentheses: state, parent, group.
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split(' ').nth(2).unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_was_started_ends_with_who_started_it_however_that_ends() {
    if std::env::var_os(STARTER).is_some() {
        return start_and_wait().await;
    }
    let launch = Launch::new(std::env::current_exe().unwrap())
        .arg("--exact")
        .arg("what_was_started_ends_with_who_started_it_however_that_ends")
        .arg("--nocapture")
        .env(STARTER, "1");
    for signal in [Signal::Terminate, Signal::Kill] {
        let mut starter = launch.spawn().unwrap();
        let started = started_by(&mut starter).await;
        assert!(started.iter().all(|pid| runs(*pid)), "{started:?}");
        starter.signal(signal).unwrap();
        starter.wait(DEADLINE).await.unwrap();
        assert!(have_ended(&started).await, "{signal:?}: {started:?} go on");
    }
}

#[tokio::test]
async fn a_group_ends_with_who_holds_it_whether_its_first_was_waited_for_or_not() {
    for is_waited_for in [false, true] {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]);
        let (mut child, kept) = Kept::spawn(command.stdout(Stdio::piped())).unwrap();
        let mut said = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut said).unwrap();
        let started = [child.id(), said.trim().parse().unwrap()];
        if is_waited_for {
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(runs(started[1]), "it goes on by itself");
        }
        drop(kept);
        let ended = have_ended(&started).await;
        assert!(ended, "{is_waited_for}: {started:?} go on");
        child.wait().unwrap();
    }
}

/// A service with a process of its own; says which they are.
async fn start_and_wait() {
    let service = shell("sleep 600 & echo $!; wait").spawn().unwrap();
    while !service.stdout().ends_with('\n') {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("\nstarted {} {}", service.pid(), service.stdout().trim());
    std::future::pending().await
}

async fn started_by(starter: &mut ServiceProcess) -> Vec<u32> {
    loop {
        let said = starter.stdout();
        let started = said
            .lines()
            .find_map(|line| line.strip_prefix("started "))
            .filter(|_| said.ends_with('\n'));
        if let Some(started) = started {
            return started.split(' ').map(|pid| pid.parse().unwrap()).collect();
        }
        let ended = starter.exited().unwrap();
        assert!(ended.is_none(), "{said}{}", starter.stderr());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until all of them have.
async fn have_ended(pids: &[u32]) -> bool {
    let ended = async {
        while pids.iter().any(|pid| runs(*pid)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, ended).await.is_ok()
}

/// Who has ended may wait long for somebody to ask how.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}
