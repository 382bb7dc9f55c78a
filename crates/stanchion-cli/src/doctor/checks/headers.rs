//! What headers say: protection, origins, TLS, ids, and of the server itself.

use super::super::http::Target;
use super::super::{Asked, Point, Verdict};

/// An origin that no service should know.
const STRANGER: &str = "https://stranger.invalid";

pub(super) fn security_headers(public: &Target, asked: &Asked) -> Point {
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

pub(super) fn cors(public: &Target, asked: &Asked) -> Point {
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

pub(super) fn tls(public: &Target) -> Point {
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

pub(super) fn server_told(public: &Target) -> Point {
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

pub(super) fn request_id(public: &Target, asked: &Asked) -> Point {
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
