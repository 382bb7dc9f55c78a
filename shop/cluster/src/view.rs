//! How the services are, as their operator's ports tell it.

use std::fmt::Write;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Cluster, Service};

/// Longest time for one question.
const ASKED_WITHIN: Duration = Duration::from_secs(2);
/// More than the metrics of a service.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Gauges that tell how far somebody is behind, in positions.
const LAGS: [&str; 2] = [
    "stanchion_projection_lag{",
    "stanchion_relay_lag_positions{",
];

/// Messages that consumers have put aside, by state.
const PARKED: &str = "stanchion_consumer_parked{";

/// One service, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Context and role.
    pub name: String,
    /// Its process id, while it runs.
    pub pid: Option<u32>,
    /// `ready`, `degraded: …`, `starting`, `draining`, or why it does not answer.
    pub health: String,
    /// The furthest that one of its relays and projections is behind, in positions.
    pub lag: Option<u64>,
    /// Messages that its consumers have put aside.
    pub parked: Option<Parked>,
}

/// Messages that consumers have put aside, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parked {
    /// They are tried again, or wait behind one that is.
    pub waiting: u64,
    /// They wait for an upgrade: nobody here knows their contract.
    pub unknown: u64,
    /// They wait for an operator.
    pub dead: u64,
}

impl Cluster {
    /// How every service is, asked now; never longer than a few seconds.
    pub async fn view(&self) -> Vec<Row> {
        let rows = self.services().iter().map(row);
        futures_util::future::join_all(rows).await
    }
}

/// The rows as text, a line each.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<18}{:>8}  {:>5}  {:>7}  {:>7}  {:>5}  {}\n",
        "service", "pid", "lag", "waiting", "unknown", "dead", "health"
    );
    for row in rows {
        let pid = row.pid.map(u64::from);
        let parked = |of: fn(Parked) -> u64| shown(row.parked.map(of));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:<18}{:>8}  {:>5}  {:>7}  {:>7}  {:>5}  {}",
            row.name,
            shown(pid),
            shown(row.lag),
            parked(|it| it.waiting),
            parked(|it| it.unknown),
            parked(|it| it.dead),
            row.health
        );
    }
    text
}

fn shown(number: Option<u64>) -> String {
    number.map_or_else(|| "-".into(), |number| number.to_string())
}

async fn row(service: &Service) -> Row {
    let (ready, metrics) = tokio::join!(
        ask(service.admin(), "/ready"),
        ask(service.admin(), "/metrics"),
    );
    let metrics = metrics.unwrap_or_default();
    Row {
        name: service.name().to_owned(),
        pid: service.pid(),
        health: ready.map_or_else(|| "does not answer".into(), |text| health(&text)),
        lag: lag(&metrics),
        parked: parked(&metrics),
    }
}

/// The word of `/ready`, and what is not healthy.
fn health(text: &str) -> String {
    let word = value_of(text, "\"status\":\"").unwrap_or("?");
    let mut wrong = Vec::new();
    // Each check is `"name":{"status":"unhealthy: why"}`.
    for (at, _) in text.match_indices(":{\"status\":\"unhealthy") {
        wrong.push(text[..at].rsplit('"').nth(1).unwrap_or("?"));
    }
    // The word of the whole comes after the checks, whose own are `healthy`.
    let word = text
        .rsplit("\"status\":\"")
        .find_map(|part| part.split('"').next().filter(|word| is_word(word)))
        .unwrap_or(word);
    if wrong.is_empty() {
        return word.to_owned();
    }
    format!("{word}: without {}", wrong.join(", "))
}

fn is_word(text: &str) -> bool {
    ["ready", "degraded", "starting", "draining", "unavailable"].contains(&text)
}

fn value_of<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split('"').next()
}

fn lag(metrics: &str) -> Option<u64> {
    let of_somebody = |line: &&str| LAGS.iter().any(|name| line.starts_with(name));
    metrics.lines().filter(of_somebody).filter_map(number).max()
}

/// `None` where there are no consumers.
fn parked(metrics: &str) -> Option<Parked> {
    let mut lines = metrics
        .lines()
        .filter(|line| line.starts_with(PARKED))
        .peekable();
    lines.peek()?;
    let mut parked = Parked::default();
    for line in lines {
        let count = number(line).unwrap_or_default();
        match value_of(line, "state=\"") {
            Some("dead") => parked.dead += count,
            Some("unknown") => parked.unknown += count,
            _ => parked.waiting += count,
        }
    }
    Some(parked)
}

/// What stands at the end of a metric's line.
fn number(line: &str) -> Option<u64> {
    let value = line.rsplit(' ').next()?.parse::<f64>().ok()?;
    Some(value as u64)
}

/// The body of an answer, whatever its status.
async fn ask(address: &str, path: &str) -> Option<String> {
    let asked = timeout(ASKED_WITHIN, async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut bytes = Vec::new();
        stream
            .take(ANSWER_BYTES_MAX)
            .read_to_end(&mut bytes)
            .await
            .ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
    });
    asked.await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_names_what_is_missing() {
        let ready =
            r#"{"checks":{"database":{"status":"healthy","latency_ms":1}},"status":"ready"}"#;
        assert_eq!(health(ready), "ready");
        let without = r#"{"checks":{"broker":{"status":"unhealthy: refused"},"database":{"latency_ms":1,"status":"healthy"}},"status":"degraded"}"#;
        assert_eq!(health(without), "degraded: without broker");
    }

    #[test]
    fn the_greatest_lag_counts() {
        let metrics = "stanchion_projection_lag{projection=\"a\"} 3\nstanchion_projection_lag_seconds{projection=\"a\"} 9\n\
                       stanchion_relay_lag_positions{context=\"orders\"} 17\n";
        assert_eq!(lag(metrics), Some(17));
        assert_eq!(lag(""), None);
    }

    #[test]
    fn what_is_parked_is_told_by_why() {
        let metrics = "stanchion_consumer_parked{consumer=\"a\",state=\"retry\"} 2\n\
                       stanchion_consumer_parked{consumer=\"b\",state=\"dead\"} 1\n\
                       stanchion_consumer_parked{consumer=\"b\",state=\"unknown\"} 4\n";
        let told = Parked {
            waiting: 2,
            unknown: 4,
            dead: 1,
        };
        assert_eq!(parked(metrics), Some(told));
        assert_eq!(parked("other 1\n"), None);
    }
}
