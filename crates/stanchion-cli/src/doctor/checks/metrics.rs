//! Metrics, and who may see them.

use super::super::http::Target;
use super::super::{Point, Verdict};

/// Families of metrics, by words in their names: what is counted, and any of the words that tell it.
const FAMILIES: [(&str, &[&str]); 4] = [
    (
        "requests counted by outcome",
        &[
            "requests_total",
            "request_total",
            "http_requests",
            "_duration_seconds_count",
            "_duration_count",
        ],
    ),
    ("latency as a histogram", &["_bucket"]),
    (
        "work in flight or connections",
        &[
            "in_flight",
            "inflight",
            "active",
            "connections",
            "in_progress",
        ],
    ),
    (
        "the process itself",
        &[
            "process_",
            "go_goroutines",
            "runtime",
            "uptime",
            "build_info",
            "memory",
        ],
    ),
];

pub(super) fn metrics(admin: &Target, wanted: &[String]) -> Point {
    let mend = "serve /metrics in the Prometheus format: requests by outcome, their duration as a histogram, what is in flight";
    let text = match admin.get("/metrics") {
        Ok(reply) if reply.status == 200 => reply.text(),
        Ok(reply) => {
            return Point::new(
                "metrics",
                Verdict::Fail,
                format!("/metrics answers {}", reply.status),
                mend,
            );
        }
        Err(error) => {
            return Point::new("metrics", Verdict::Fail, format!("/metrics: {error}"), mend);
        }
    };
    let names: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .filter(|name| !name.is_empty())
        .collect();
    let missing: Vec<&str> = wanted
        .iter()
        .map(String::as_str)
        .filter(|name| !names.contains(name))
        .collect();
    if !missing.is_empty() {
        return Point::new(
            "metrics",
            Verdict::Fail,
            format!("/metrics has no {}", missing.join(", ")),
            "count what was asked for by --metric",
        );
    }
    let lacking = FAMILIES.iter().filter(|(_, words)| {
        !names
            .iter()
            .any(|name| words.iter().any(|word| name.contains(word)))
    });
    let lacking: Vec<&str> = lacking.map(|(what, _)| *what).collect();
    let mut families = names.clone();
    families.sort_unstable();
    families.dedup();
    if lacking.is_empty() {
        return Point::new(
            "metrics",
            Verdict::Ok,
            format!("/metrics has {} names", families.len()),
            "",
        );
    }
    Point::new(
        "metrics",
        Verdict::Warn,
        format!("/metrics lacks {}", lacking.join(", ")),
        mend,
    )
}

pub(super) fn metrics_private(public: &Target, admin: &Target) -> Point {
    let name = "metrics not public";
    if public.address() == admin.address() {
        return Point::new(
            name,
            Verdict::Skipped,
            "no other port was named: --admin URL",
            "",
        );
    }
    let open = ["/metrics", "/debug/pprof/", "/debug/vars"]
        .into_iter()
        .find(|path| public.get(path).is_ok_and(|reply| reply.status == 200));
    match open {
        None => Point::new(
            name,
            Verdict::Ok,
            "the public port has neither metrics nor a profiler",
            "",
        ),
        Some(path) => Point::new(
            name,
            Verdict::Fail,
            format!("the public port answers {path}"),
            "serve it on the operator's port alone",
        ),
    }
}
