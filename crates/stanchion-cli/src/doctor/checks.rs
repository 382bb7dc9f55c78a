//! The points that are answered at once, a function each.

use super::http::{Reply, Target};
use super::{Asked, Point, Verdict};

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
const OPENAPI: [&str; 6] = [
    "/openapi.json",
    "/api/openapi.json",
    "/v3/api-docs",
    "/swagger.json",
    "/api-docs/openapi.json",
    "/openapi.yaml",
];

/// Nobody serves this.
const NOWHERE: &str = "/stanchion-doctor-asks-for-nothing-that-is-there";

/// An origin that no service should know.
const STRANGER: &str = "https://stranger.invalid";

/// How many requests a burst has, to see whether anybody counts them.
const BURST: usize = 120;

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

pub(super) fn all(public: &Target, admin: &Target, asked: &Asked) -> Vec<Point> {
    vec![
        liveness(public, admin),
        readiness(public, admin),
        metrics(admin, &asked.metrics),
        metrics_private(public, admin),
        security_headers(public, asked),
        cors(public, asked),
        tls(public),
        error_shape(public),
        server_told(public),
        request_id(public, asked),
        bad_request(public),
        openapi(public),
        rate_limit(public, asked),
    ]
}

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

fn liveness(public: &Target, admin: &Target) -> Point {
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

fn readiness(public: &Target, admin: &Target) -> Point {
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

fn metrics(admin: &Target, wanted: &[String]) -> Point {
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

fn metrics_private(public: &Target, admin: &Target) -> Point {
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

fn security_headers(public: &Target, asked: &Asked) -> Point {
    let name = "security headers";
    let Ok(reply) = public.get(&asked.path) else {
        return Point::new(
            name,
            Verdict::Skipped,
            format!("{} does not answer", asked.path),
            "",
        );
    };
    let mut lacking = Vec::new();
    if reply.header("x-content-type-options") != Some("nosniff") {
        lacking.push("x-content-type-options: nosniff");
    }
    if public.is_tls() && reply.header("strict-transport-security").is_none() {
        lacking.push("strict-transport-security");
    }
    let html = reply
        .header("content-type")
        .is_some_and(|kind| kind.contains("text/html"));
    let framed = reply.header("content-security-policy").is_none()
        && reply.header("x-frame-options").is_none();
    if html && framed {
        lacking.push("content-security-policy");
    }
    match lacking.as_slice() {
        [] => Point::new(
            name,
            Verdict::Ok,
            format!("{} has what it needs", asked.path),
            "",
        ),
        lacking => Point::new(
            name,
            Verdict::Fail,
            format!("{} lacks {}", asked.path, lacking.join(", ")),
            "set them on every answer, errors included",
        ),
    }
}

fn cors(public: &Target, asked: &Asked) -> Point {
    let asking = [
        ("origin", STRANGER),
        ("access-control-request-method", "POST"),
    ];
    let replies = [
        public.ask("OPTIONS", &asked.path, &asking),
        public.ask("GET", &asked.path, &[("origin", STRANGER)]),
    ];
    let origin = replies
        .iter()
        .flatten()
        .find_map(|reply| reply.header("access-control-allow-origin"));
    let credentials = replies
        .iter()
        .flatten()
        .any(|reply| reply.header("access-control-allow-credentials") == Some("true"));
    let mend = "allow the origins that are yours, by name; never reflect whatever came";
    match origin {
        Some(origin) if origin == STRANGER => {
            let with = if credentials {
                ", with credentials"
            } else {
                ""
            };
            Point::new(
                "cors",
                Verdict::Fail,
                format!("any origin is reflected{with}"),
                mend,
            )
        }
        Some("*") => Point::new("cors", Verdict::Warn, "every origin is allowed", mend),
        Some(_) | None => Point::new("cors", Verdict::Ok, "an unknown origin is not allowed", ""),
    }
}

fn tls(public: &Target) -> Point {
    if public.is_tls() {
        return Point::new(
            "tls",
            Verdict::Ok,
            "TLS with a certificate that is trusted",
            "",
        );
    }
    let here = public.address().ip().is_loopback();
    let verdict = if here {
        Verdict::Skipped
    } else {
        Verdict::Fail
    };
    Point::new(
        "tls",
        verdict,
        "plain HTTP",
        "on loopback that is no finding; elsewhere serve TLS, or end it at a proxy on the same host",
    )
}

fn error_shape(public: &Target) -> Point {
    let name = "error shape";
    let mend = "answer errors as JSON with a code that programs read and a text that people read (RFC 9457, or an envelope of yours)";
    let Ok(reply) = public.get(NOWHERE) else {
        return Point::new(name, Verdict::Fail, "an unknown path is not answered", mend);
    };
    if reply.status != 404 && reply.status != 401 {
        return Point::new(
            name,
            Verdict::Fail,
            format!("an unknown path answers {}", reply.status),
            "answer 404",
        );
    }
    let leaks = [
        "stack backtrace",
        "panicked at",
        "goroutine ",
        "Traceback",
        "at java.",
        "/src/",
        ".rs:",
        ".go:",
    ];
    let text = reply.text();
    if let Some(leak) = leaks.iter().find(|leak| text.contains(**leak)) {
        return Point::new(
            name,
            Verdict::Fail,
            format!("an error shows code: `{leak}`"),
            "log the cause, and answer a code",
        );
    }
    let kind = reply.header("content-type").unwrap_or("nothing").to_owned();
    if reply.json().is_some_and(|body| body.is_object()) {
        return Point::new(name, Verdict::Ok, format!("404 is {kind}"), "");
    }
    Point::new(
        name,
        Verdict::Fail,
        format!("404 is {kind}, not JSON"),
        mend,
    )
}

fn server_told(public: &Target) -> Point {
    let name = "nothing told of itself";
    let Ok(reply) = public.get("/") else {
        return Point::new(name, Verdict::Skipped, "/ does not answer", "");
    };
    let told = ["server", "x-powered-by", "x-aspnet-version"]
        .into_iter()
        .find(|name| {
            reply.header(name).is_some_and(|value| {
                value.contains(|c: char| c.is_ascii_digit()) || *name != "server"
            })
        });
    match told {
        Some(header) => Point::new(
            name,
            Verdict::Warn,
            format!("{header}: {}", reply.header(header).unwrap_or_default()),
            "a version in a header helps only whoever looks for its holes",
        ),
        None => Point::new(name, Verdict::Ok, "no header tells what it runs on", ""),
    }
}

fn request_id(public: &Target, asked: &Asked) -> Point {
    let id = "doctor-0123456789abcdef";
    let named = [
        "x-request-id",
        "request-id",
        "x-correlation-id",
        "traceparent",
        "x-trace-id",
    ];
    let Ok(reply) = public.ask("GET", &asked.path, &[("x-request-id", id)]) else {
        return Point::new(
            "request id",
            Verdict::Skipped,
            format!("{} does not answer", asked.path),
            "",
        );
    };
    match named
        .into_iter()
        .find_map(|name| Some((name, reply.header(name)?)))
    {
        Some((name, value)) if value == id => Point::new(
            "request id",
            Verdict::Ok,
            format!("{name} comes back as it was sent"),
            "",
        ),
        Some((name, _)) => Point::new(
            "request id",
            Verdict::Ok,
            format!("{name} is given to each answer"),
            "",
        ),
        None => Point::new(
            "request id",
            Verdict::Fail,
            "no answer carries an id",
            "take x-request-id or make one, log it, and send it back",
        ),
    }
}

/// A head without a host is refused; a server that takes it takes anything.
fn bad_request(public: &Target) -> Point {
    let refused = public.connect().and_then(|mut wire| {
        std::io::Write::write_all(
            &mut wire,
            b"GET / HTTP/1.1\r\nno colon here\r\nconnection: close\r\n\r\n",
        )?;
        super::http::read(&mut *wire)
    });
    match refused {
        Ok(reply) if (400..500).contains(&reply.status) => Point::new(
            "bad requests",
            Verdict::Ok,
            format!("a broken head answers {}", reply.status),
            "",
        ),
        Ok(reply) => Point::new(
            "bad requests",
            Verdict::Fail,
            format!("a broken head answers {}", reply.status),
            "answer 400, and close",
        ),
        Err(_) => Point::new("bad requests", Verdict::Ok, "a broken head is closed", ""),
    }
}

fn openapi(public: &Target) -> Point {
    for path in OPENAPI {
        let Ok(reply) = public.get(path) else {
            continue;
        };
        if reply.status != 200 {
            continue;
        }
        let document = reply.json();
        let version = document
            .as_ref()
            .and_then(|document| document.get("openapi").or_else(|| document.get("swagger")));
        let Some(version) = version.and_then(|version| version.as_str()) else {
            continue;
        };
        let paths = document
            .as_ref()
            .and_then(|document| document.get("paths"))
            .and_then(|paths| paths.as_object());
        let paths = paths.map_or(0, serde_json::Map::len);
        return match paths {
            0 => Point::new(
                "openapi",
                Verdict::Warn,
                format!("{path} describes no path"),
                "describe the routes",
            ),
            paths => Point::new(
                "openapi",
                Verdict::Ok,
                format!("{path}: OpenAPI {version}, {paths} paths"),
                "",
            ),
        };
    }
    Point::new(
        "openapi",
        Verdict::Warn,
        format!("none of {} is a document", OPENAPI.join(", ")),
        "serve one that is made of the code",
    )
}

/// A burst from one client; loopback is often excused, so that nothing counts is no failure there.
fn rate_limit(public: &Target, asked: &Asked) -> Point {
    let mut announced = None;
    for sent in 1..=BURST {
        let Ok(reply) = public.get(&asked.path) else {
            return Point::new(
                "rate limit",
                Verdict::Warn,
                format!("request {sent} of a burst was not answered"),
                "answer 429 with retry-after",
            );
        };
        if reply.status == 429 || reply.status == 503 {
            let waits = reply.header("retry-after").is_some();
            let verdict = if waits { Verdict::Ok } else { Verdict::Warn };
            let seen = format!(
                "request {sent} of a burst answers {}{}",
                reply.status,
                if waits { " with retry-after" } else { "" }
            );
            return Point::new(
                "rate limit",
                verdict,
                seen,
                "say retry-after, so that clients wait as long as they should",
            );
        }
        announced = announced.or_else(|| {
            ["ratelimit-limit", "ratelimit", "x-ratelimit-limit"]
                .into_iter()
                .find(|name| reply.header(name).is_some())
        });
    }
    match announced {
        Some(header) => Point::new(
            "rate limit",
            Verdict::Ok,
            format!("announced by {header}"),
            "",
        ),
        None => Point::new(
            "rate limit",
            Verdict::Warn,
            format!("{BURST} requests in a row were all let in"),
            "bound what one client may ask for, here or at the proxy in front",
        ),
    }
}
