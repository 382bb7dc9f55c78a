//! Liveness and readiness.

use super::super::http::{Reply, Target};
use super::super::{Point, Verdict};
use super::NOWHERE;

/// Paths that services answer health questions at.
const LIVE: [&str; 6] = [
    "/health",
    "/healthz",
    "/livez",
    "/live",
    "/health/live",
    "/ping",
];

const READY: [&str; 5] = [
    "/ready",
    "/readyz",
    "/health/ready",
    "/readiness",
    "/healthz/ready",
];

/// The first of these paths that answers with a status a health question has.
fn found(targets: [&Target; 2], paths: &[&'static str]) -> Option<(&'static str, Reply)> {
    for target in targets {
        // Where every path is answered with 200, that answer says nothing of health.
        if target.get(NOWHERE).is_ok_and(|reply| reply.status == 200) {
            continue;
        }
        for path in paths {
            match target.get(path) {
                Ok(reply) if matches!(reply.status, 200 | 204 | 503) => return Some((path, reply)),
                _ => {}
            }
        }
    }
    None
}

pub(super) fn liveness(public: &Target, admin: &Target) -> Point {
    let mend =
        "answer 200 at /health as long as the process can answer at all; ask no database for it";
    match found([admin, public], &LIVE) {
        Some((path, reply)) if reply.status != 503 => Point::new(
            "liveness",
            Verdict::Ok,
            format!("{path} answers {}", reply.status),
            "",
        ),
        Some((path, _)) => Point::new(
            "liveness",
            Verdict::Fail,
            format!("{path} answers 503"),
            "the process says that it is to be restarted: read its log",
        ),
        None => Point::new(
            "liveness",
            Verdict::Fail,
            format!("none of {} answers", LIVE.join(", ")),
            mend,
        ),
    }
}

pub(super) fn readiness(public: &Target, admin: &Target) -> Point {
    let mend = "answer 200 at /ready when requests can be worked on, 503 while starting, stopping or without what every request needs";
    match found([admin, public], &READY) {
        Some((path, reply)) if reply.status != 503 => Point::new(
            "readiness",
            Verdict::Ok,
            format!("{path} answers {}", reply.status),
            "",
        ),
        Some((path, reply)) => {
            let said: String = reply.text().chars().take(200).collect();
            Point::new(
                "readiness",
                Verdict::Warn,
                format!("{path} answers 503: {said}"),
                "it is not ready now: what its answer names",
            )
        }
        None => Point::new(
            "readiness",
            Verdict::Fail,
            format!("none of {} answers", READY.join(", ")),
            mend,
        ),
    }
}
