//! A load, and what came of it.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The arguments of `overload ask`.
pub(super) struct Load {
    pub(super) arguments: Vec<String>,
    pub(super) seconds: f64,
}

/// What came of one path.
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) sent: u64,
    pub(super) ok: u64,
    pub(super) shed: u64,
    /// Refused without `Retry-After`.
    pub(super) untold: u64,
    pub(super) late: u64,
    pub(super) failed: u64,
    pub(super) ok_ms: Times,
    pub(super) shed_ms: Times,
    pub(super) sent_by_second: Vec<u64>,
    pub(super) ok_by_second: Vec<u64>,
    /// Of those sent in a second, how many were answered well.
    pub(super) kept_by_second: Vec<u64>,
}

/// Milliseconds.
pub(super) struct Times {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Load {
    pub(super) fn new(url: &str, seconds: f64) -> Self {
        let arguments = vec![
            "ask".to_owned(),
            format!("--url={url}"),
            format!("--seconds={seconds}"),
        ];
        Self { arguments, seconds }
    }

    /// This path so often a second.
    pub(super) fn load(self, path: &str, rate: f64) -> Self {
        self.with(format!("--load={path}={rate}"))
    }

    /// This JSON posted to this path so often a second; `{n}` in it is the number of the request.
    pub(super) fn post(self, path: &str, body: &str, rate: f64) -> Self {
        let posted = self.with(format!("--post={path}={rate}"));
        posted.with(format!("--body={body}"))
    }

    /// Instead so many clients who wait for their answers.
    pub(super) fn closed(self, clients: u32) -> Self {
        self.with(format!("--closed={clients}"))
    }

    /// What is not answered well is asked so often again.
    pub(super) fn retries(self, retries: u32) -> Self {
        self.with(format!("--retries={retries}"))
    }

    fn with(mut self, argument: String) -> Self {
        self.arguments.push(argument);
        self
    }
}

/// What the program printed.
pub(super) fn parse(printed: &str) -> Result<Vec<Asked>> {
    let printed: Value = serde_json::from_str(printed.trim())?;
    let asked = printed["asked"].as_array().context("no paths")?;
    asked.iter().map(one).collect()
}

fn one(value: &Value) -> Result<Asked> {
    let number = |name: &str| value[name].as_u64().with_context(|| format!("no {name}"));
    let seconds = |name: &str| {
        let all = value[name].as_array().into_iter().flatten();
        all.filter_map(Value::as_u64).collect()
    };
    Ok(Asked {
        path: value["path"].as_str().unwrap_or_default().to_owned(),
        sent: number("sent")?,
        ok: number("ok")?,
        shed: number("shed")?,
        untold: number("untold")?,
        late: number("late")?,
        failed: number("failed")?,
        ok_ms: times(&value["ok_ms"]),
        shed_ms: times(&value["shed_ms"]),
        sent_by_second: seconds("sent_by_second"),
        ok_by_second: seconds("ok_by_second"),
        kept_by_second: seconds("kept_by_second"),
    })
}

fn times(value: &Value) -> Times {
    let at = |name: &str| value[name].as_f64().unwrap_or(f64::NAN);
    Times {
        p50: at("p50"),
        p99: at("p99"),
        max: at("max"),
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Times { p50, p99, max } = self.ok_ms;
        write!(f, "{} sent {}: ", self.path, self.sent)?;
        write!(
            f,
            "{} ok (p50 {p50:.1} p99 {p99:.1} max {max:.1} ms), ",
            self.ok
        )?;
        let Times { p50, p99, max } = self.shed_ms;
        write!(
            f,
            "{} refused (p50 {p50:.1} p99 {p99:.1} max {max:.1} ms), ",
            self.shed
        )?;
        write!(f, "{} late, {} failed", self.late, self.failed)
    }
}

/// The status of one GET; none without an answer in time.
pub(super) async fn status(url: &str, within: Duration) -> Option<u16> {
    let answer = timeout(within, get(url)).await.ok()?.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Head and body as they came.
pub(super) async fn get(url: &str) -> Result<String> {
    let rest = url.strip_prefix("http://").context("http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).await?;
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
