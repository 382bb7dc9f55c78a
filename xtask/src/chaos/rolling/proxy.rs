//! HAProxy before both instances.

use std::{fs, path::Path, time::Duration};

use anyhow::{Result, ensure};
use stanchion_testing::process::{Launch, ServiceProcess, free_port};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use super::Stage;
use crate::workspace;

const BINARY: &str = "/usr/sbin/haproxy";
const READY_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);
/// Two in each of two backends.
const SERVERS: usize = 4;

/// A port for HTTP/1.1 and one for HTTP/2, each in the same protocol behind it, and one that tells how it is.
/// Three failed probes take a server out, well within its lame duck; one good one brings it back. No request is sent
/// again but one that found no connection.
const CONFIG: &str = r#"global
    log stdout format raw daemon notice
    maxconn 4000
    nbthread 1
defaults
    mode http
    log global
    timeout connect 2s
    timeout check 2s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    option httpchk GET /ready
    http-check expect status 200
    default-server check inter 300ms fall 3 rise 1
    retries 3
    option redispatch
frontend http1
    bind 127.0.0.1:{http1}
    default_backend http1
frontend http2
    bind 127.0.0.1:{http2} proto h2
    default_backend http2
frontend here
    bind 127.0.0.1:{here}
    monitor-uri /here
    stats enable
    stats uri /stats
backend http1
    server a {a}
    server b {b}
backend http2
    server a {a} proto h2 check-proto h1
    server b {b} proto h2 check-proto h1
"#;

/// The requests of both frontends, as somebody sees them who shares no code with clients and instances.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) requests: u64,
    /// With a status of 1xx to 4xx, or none that is known.
    pub(super) answers: u64,
    /// With a status of 5xx, its own included.
    pub(super) failures: u64,
    /// Sent again because no connection was had, to the same server or another one.
    pub(super) sent_again: u64,
    /// Connections to servers that were not had, and answers that broke off.
    pub(super) broken: u64,
}

impl Counted {
    fn of(stats: &str) -> Self {
        let (_, table) = stats.split_once("# ").unwrap_or_default();
        let mut lines = table.lines();
        let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let mut counted = Self::default();
        for line in lines {
            let fields: Vec<&str> = line.split(',').collect();
            let field = |name: &str| {
                let place = names.iter().position(|known| *known == name)?;
                fields.get(place).copied()
            };
            let number = |name: &str| {
                field(name)
                    .and_then(|field| field.parse().ok())
                    .unwrap_or(0)
            };
            let sum = |names: &[&str]| names.iter().map(|name| number(name)).sum::<u64>();
            match (field("pxname"), field("svname")) {
                (Some("http1" | "http2"), Some("FRONTEND")) => {
                    let good = ["hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_other"];
                    counted.requests += number("req_tot");
                    counted.answers += sum(&good);
                    counted.failures += number("hrsp_5xx");
                }
                (Some("http1" | "http2"), Some("BACKEND")) => {
                    counted.sent_again += sum(&["wretr", "wredis"]);
                    counted.broken += sum(&["econ", "eresp"]);
                }
                _ => {}
            }
        }
        counted
    }

    /// Whether each request has its answer.
    fn is_complete(&self) -> bool {
        self.answers + self.failures >= self.requests
    }

    /// Whether it contradicts clients who all say that they were answered well.
    pub(super) fn contradicts(&self) -> bool {
        self.failures > 0 || !self.is_complete()
    }
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            requests,
            answers,
            failures,
            sent_again,
            broken,
        } = self;
        write!(
            f,
            "HAProxy counted {requests} requests: {answers} answered, {failures} with 5xx; {sent_again} sent again, \
             {broken} connections or answers broken"
        )
    }
}

pub(super) struct Proxy {
    http1: u16,
    http2: u16,
    here: u16,
    process: ServiceProcess,
}

impl Proxy {
    pub(super) fn is_installed() -> bool {
        Path::new(BINARY).exists()
    }

    pub(super) async fn start(stage: &Stage) -> Result<Self> {
        let (http1, http2, here) = (free_port()?, free_port()?, free_port()?);
        let [a, b] = stage.instances.each_ref().map(|one| one.address.as_str());
        let config = CONFIG
            .replace("{http1}", &http1.to_string())
            .replace("{http2}", &http2.to_string())
            .replace("{here}", &here.to_string())
            .replace("{a}", a)
            .replace("{b}", b);
        let file = workspace::target().join("chaos/rolling/haproxy.cfg");
        fs::write(&file, config)?;
        let launch = Launch::new(BINARY).arg("-f").arg(file);
        let launch = launch.ready_when(format!("http://127.0.0.1:{here}/here"));
        Ok(Self {
            http1,
            http2,
            here,
            process: launch.start(READY_WITHIN).await?,
        })
    }

    /// Waits until each backend has both servers: before that, an operator does not restart the next one.
    pub(super) async fn sees_both(&self, within: Duration) -> Result<()> {
        let began = Instant::now();
        while self.servers_up().await.unwrap_or_default() < SERVERS {
            let late = began.elapsed() > within;
            ensure!(!late, "HAProxy sees no two servers\n{}", self.said());
            sleep(POLL).await;
        }
        Ok(())
    }

    /// What it logged of its servers' health.
    pub(super) fn said(&self) -> String {
        self.process.stdout()
    }

    /// What it counted of the requests that went through it, once none is under way any more or the time is over.
    ///
    /// It counts a request when it arrives and an answer when that has ended. A client that leaves in the middle of a stream
    /// does not end it: HAProxy goes on until the service says something, or ends it.
    pub(super) async fn counted(&self, within: Duration) -> Result<Counted> {
        let began = Instant::now();
        loop {
            let counted = Counted::of(&self.stats().await?);
            if counted.is_complete() || began.elapsed() > within {
                return Ok(counted);
            }
            sleep(POLL).await;
        }
    }

    async fn servers_up(&self) -> Result<usize> {
        let stats = self.stats().await?;
        let lines = stats.lines().filter(|line| line.starts_with("http"));
        let servers = lines.filter(|line| matches!(line.split(',').nth(1), Some("a" | "b")));
        Ok(servers.filter(|line| line.contains(",UP,")).count())
    }

    /// A line of names, then one for each frontend, server and backend.
    async fn stats(&self) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.here)).await?;
        let ask = "GET /stats;csv HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(ask.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    pub(super) fn http1(&self) -> String {
        format!("127.0.0.1:{}", self.http1)
    }

    pub(super) fn http2(&self) -> String {
        format!("127.0.0.1:{}", self.http2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_frontends_and_backends_are_counted_by_the_names_of_their_columns() {
        let stats = "HTTP/1.0 200 OK\r\n\r\n\
            # pxname,svname,req_tot,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,econ,eresp,wretr,wredis,\n\
            http1,FRONTEND,10,0,8,0,1,1,0,,,,,\n\
            http2,FRONTEND,5,0,4,0,0,0,0,,,,,\n\
            here,FRONTEND,99,0,99,0,0,0,0,,,,,\n\
            http1,a,,0,8,0,1,1,0,3,0,2,1,\n\
            http1,BACKEND,10,0,8,0,1,1,0,3,0,2,1,\n\
            http2,BACKEND,5,0,4,0,0,0,0,0,1,0,0,\n";
        let counted = Counted::of(stats);
        let wanted = Counted {
            requests: 15,
            answers: 13,
            failures: 1,
            sent_again: 3,
            broken: 4,
        };
        assert_eq!(counted, wanted);
        // One of the second frontend is under way.
        assert!(counted.contradicts() && !counted.is_complete());
        assert!(
            !Counted {
                answers: 15,
                failures: 0,
                ..counted
            }
            .contradicts()
        );
    }
}
