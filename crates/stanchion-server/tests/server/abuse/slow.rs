//! G1: clients who take their time: some of each kind, or with `STANCHION_SLOW_CLIENTS=2000` as many as the row asks for.

use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};

use super::super::shop::settings;
use super::wire::{self, Wire, ask};
use super::*;

/// Attackers of a kind, unless told otherwise.
const EACH: usize = 60;
/// From so many on an attack lasts long enough for a p99 of its own; those of fewer have one together.
const MANY: usize = 1_000;
/// So many come at once, and the next when the service has them.
const BATCH: usize = 50;
/// What each of them may take to be connected: the timeouts of the service are as long as all of them together, so that
/// the first is still there when the last one comes.
const CONNECTED_WITHIN: Duration = Duration::from_millis(10);
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// Longer than a busy machine keeps the neighbour waiting for its turn.
const IDLE_MIN: Duration = Duration::from_secs(4);
/// So long after its timeout each is left.
const LATE_MAX: Duration = Duration::from_secs(2);
/// Nobody notices less: a debug build, and both ends of all connections in one process.
const NOTICED: Duration = Duration::from_millis(3);
/// What else this process has open, generously.
const OTHER_FILES: usize = 200;
/// Of those who read slowly, what their system takes for them.
const WINDOW: u32 = 4_096;

#[derive(Clone, Copy, Debug)]
enum Slow {
    Head,
    Body,
    Http2Body,
    Reader,
    Http2Reader,
    Idle,
    Http2Idle,
}

const KINDS: [Slow; 7] = [
    Slow::Head,
    Slow::Body,
    Slow::Http2Body,
    Slow::Reader,
    Slow::Http2Reader,
    Slow::Idle,
    Slow::Http2Idle,
];

/// How many attack, and how long they are waited for.
#[derive(Clone, Copy)]
struct Crowd {
    each: usize,
    timeout: Duration,
    idle: Duration,
}

impl Crowd {
    fn given() -> Self {
        let given = std::env::var("STANCHION_SLOW_CLIENTS").ok();
        let each = given.map_or(EACH, |given| given.parse().expect("a number of clients"));
        let timeout = CONNECTED_WITHIN * u32::try_from(each).unwrap();
        let timeout = timeout.max(TIMEOUT_MIN);
        Self {
            each,
            timeout,
            idle: timeout.max(IDLE_MIN),
        }
    }

    /// How long the service waits for one of this kind.
    fn patience(self, kind: Slow) -> Duration {
        match kind {
            Slow::Idle => self.idle,
            // It is told to go first.
            Slow::Http2Idle => self.idle + self.timeout,
            _ => self.timeout,
        }
    }
}

#[tokio::test]
async fn slow_clients_are_left_in_time_and_nobody_else_waits() {
    let crowd = Crowd::given();
    // Both ends of each connection are this process's.
    may_open(2 * crowd.each + OTHER_FILES);
    let abused = Abused::start(ServerSettings {
        header_timeout: crowd.timeout,
        write_timeout: crowd.timeout,
        idle_timeout: crowd.idle,
        body_rate_min: stanchion_config::ByteSize(1_000),
        // What bounds them sooner has tests of its own.
        connections_per_address_max: 2 * crowd.each,
        in_flight_max: settings().in_flight_max.max(4 * crowd.each),
        ..settings()
    })
    .await;
    let mut neighbour = abused.neighbour();
    for (number, kind) in KINDS.into_iter().enumerate() {
        Attackers::begin(kind, crowd).held_off(&abused).await;
        let is_last = number + 1 == KINDS.len();
        if crowd.each >= MANY && !is_last {
            neighbour.noticed_less_than(NOTICED).await;
            abused.left_with(0, LATE_MAX).await;
            neighbour = abused.neighbour();
        }
    }
    neighbour.noticed_less_than(NOTICED).await;
}

/// Lets this process have so many files, or says that it cannot.
fn may_open(files: usize) {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = |line: &&str| line.starts_with("Max open files");
    let line = limits.lines().find(line).unwrap();
    let mut bounds = line.split_whitespace().skip(3);
    // What is no number is `unlimited`.
    let mut bound = || bounds.next().unwrap().parse().unwrap_or(usize::MAX);
    let (soft, hard) = (bound(), bound());
    assert!(
        hard >= files,
        "{files} files are needed, {hard} are the most that this process may have: `ulimit -Hn {files}`, or fewer clients"
    );
    if soft < files {
        let pid = std::process::id().to_string();
        let mut raise = Command::new("prlimit");
        raise.args(["--pid", &pid, &format!("--nofile={files}:")]);
        let raised = raise.status().is_ok_and(|status| status.success());
        assert!(
            raised,
            "{files} files are needed, {soft} are allowed: `ulimit -n {files}`"
        );
    }
}

/// Attackers of a kind, on threads of their own: they take no turn of the service's.
struct Attackers {
    kind: Slow,
    crowd: Crowd,
    /// Ended without being waited for, also where an assertion fails.
    runtime: Option<Runtime>,
}

impl Attackers {
    fn begin(kind: Slow, crowd: Crowd) -> Self {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        Self {
            kind,
            crowd,
            runtime: Some(runtime),
        }
    }

    /// They attack, and each of them is left in time.
    async fn held_off(self, abused: &Abused) {
        let arrived = self.arrive(abused).await;
        let within = self.crowd.patience(self.kind) + LATE_MAX;
        let took = all_left(abused, &arrived, within).await;
        let (kind, each) = (self.kind, self.crowd.each);
        println!("{kind:?}: {each} at once, the last was left {took:?} after the last came");
    }

    /// Batch by batch, each when the service says that it has the one before; when each of them came. All are there at the
    /// end.
    async fn arrive(&self, abused: &Abused) -> Vec<Instant> {
        let (kind, each) = (self.kind, self.crowd.each);
        let runtime = self.runtime.as_ref().unwrap();
        let (began, mut arrived) = (Instant::now(), Vec::new());
        let drip = self.crowd.timeout / 12;
        while arrived.len() < each {
            let batch = BATCH.min(each - arrived.len());
            for _ in 0..batch {
                runtime.spawn(attack(kind, abused.address, drip));
            }
            let now = arrived.len() + batch;
            // With the neighbour.
            while abused.connections() < now + 1 {
                let there = abused.connections();
                let refused = abused.refused();
                assert!(
                    began.elapsed() < self.crowd.timeout,
                    "{kind:?}: this machine had {there} of {now} connections by the time the first of them is over, \
                     and the service says that it refused {refused:?}"
                );
                sleep(Duration::from_millis(2)).await;
            }
            arrived.resize(now, Instant::now());
        }
        println!("{kind:?}: {each} connected in {:?}", began.elapsed());
        arrived
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        // To wait for it here would block the service.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits until nobody but the neighbour is there; at no moment somebody is who came longer ago than this. How long it took.
async fn all_left(abused: &Abused, arrived: &[Instant], within: Duration) -> Duration {
    let began = Instant::now();
    loop {
        let there = abused.connections().saturating_sub(1);
        if there == 0 {
            return began.elapsed();
        }
        let in_time = arrived.iter().filter(|came| came.elapsed() < within);
        let in_time = in_time.count();
        assert!(
            there <= in_time,
            "{there} are there, of whom {in_time} came within {within:?}"
        );
        sleep(Duration::from_millis(20)).await;
    }
}

/// Holds its connection for as long as it can.
async fn attack(kind: Slow, address: SocketAddr, pause: Duration) {
    match kind {
        Slow::Head => {
            let head = "GET /echo HTTP/1.1\r\nhost: a\r\nx: ";
            drip(address, head, "y", pause).await;
        }
        Slow::Body => {
            let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n";
            drip(address, head, "z", pause).await;
        }
        Slow::Http2Body => {
            let mut wire = Wire::open(address, &[]).await;
            wire.send(&ask(1, "/echo", true)).await;
            // The stream ends, not the connection: it then sits there until it is idle for too long.
            while wire.send(&wire::frame(wire::DATA, 0, 1, b"z")).await {
                if wire.next_of(wire::HEADERS).await.is_some() {
                    return;
                }
            }
        }
        Slow::Reader => {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(WINDOW).unwrap();
            let mut line = Line(socket.connect(address).await.unwrap());
            line.say("GET /huge HTTP/1.1\r\nhost: a\r\n\r\n").await;
            std::future::pending().await
        }
        Slow::Http2Reader => {
            // No window: heads come, bodies cannot.
            let mut wire = Wire::open(address, &[(4, 0)]).await;
            for stream in [1, 3, 5] {
                wire.send(&ask(stream, "/large", false)).await;
            }
            while wire.next().await.is_some() {}
        }
        Slow::Idle => {
            let mut line = Line::open(address).await;
            line.get("/seen").await;
            line.answer().await;
            let mut rest = Vec::new();
            let _ = line.0.read_to_end(&mut rest).await;
        }
        Slow::Http2Idle => {
            let mut wire = Wire::open(address, &[]).await;
            while wire.next().await.is_some() {}
        }
    }
}

/// A byte now and then, until the connection is gone.
async fn drip(address: SocketAddr, head: &str, byte: &str, pause: Duration) {
    let mut line = Line::open(address).await;
    line.say(head).await;
    while line.0.write_all(byte.as_bytes()).await.is_ok() {
        sleep(pause).await;
    }
}

/// What comes in meanwhile is the beginning of the next request, and none that is late.
#[tokio::test]
async fn a_long_answer_is_not_cut_for_the_next_head_that_has_begun() {
    let abused = Abused::start(ServerSettings {
        header_timeout: Duration::from_millis(400),
        ..settings()
    })
    .await;
    let mut line = Line::open(abused.address).await;
    line.say("GET /drips HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(line.answer().await.unwrap().0.starts_with("http/1.1 200"));
    line.say("GET /api/v1/se").await;
    let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
    while !answer.ends_with(b"0\r\n\r\n") {
        let read = line.0.read(&mut piece).await.unwrap();
        assert!(read > 0, "cut after {} bytes", answer.len());
        answer.extend_from_slice(&piece[..read]);
    }
    line.say("en HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(line.answer().await.unwrap().0.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn a_body_that_drips_is_refused_in_words() {
    let abused = Abused::start(ServerSettings {
        header_timeout: Duration::from_millis(300),
        ..settings()
    })
    .await;
    let mut line = Line::open(abused.address).await;
    line.say(
        "POST /api/v1/things HTTP/1.1\r\nhost: a\r\nauthorization: Bearer writer\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{\"name\"",
    )
    .await;
    let began = Instant::now();
    let (head, body) = line.answer().await.unwrap();
    assert!(head.starts_with("http/1.1 408"), "{head}{body}");
    assert!(head.contains("connection: close") && body.contains("REQUEST_TIMEOUT"));
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    line.ended().await;
}
