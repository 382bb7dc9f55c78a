//! What is answered: errors, broken heads, the description, bursts.

use jiff::SignedDuration;
use stanchion_runtime::clock;

use super::super::http::{self, Target};
use super::super::{Asked, Point, Verdict};
use super::NOWHERE;

const OPENAPI: [&str; 6] = [
    "/openapi.json",
    "/api/openapi.json",
    "/v3/api-docs",
    "/swagger.json",
    "/api-docs/openapi.json",
    "/openapi.yaml",
];

/// How many requests a burst has, to see whether anybody counts them.
const BURST: usize = 120;

/// How long they may take together; a service that answers slowly is asked fewer.
const BURST_TIME_MAX: SignedDuration = SignedDuration::from_secs(30);

pub(super) fn error_shape(public: &Target) -> Point {
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

/// A head without a host is refused; a server that takes it takes anything.
pub(super) fn bad_request(public: &Target) -> Point {
    let refused = public.connect().and_then(|mut wire| {
        std::io::Write::write_all(
            &mut wire,
            b"GET / HTTP/1.1\r\nno colon here\r\nconnection: close\r\n\r\n",
        )?;
        http::read(&mut *wire)
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

pub(super) fn openapi(public: &Target) -> Point {
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
pub(super) fn rate_limit(public: &Target, asked: &Asked) -> Point {
    let (mut announced, began) = (None, clock::now());
    let mut let_in = 0;
    for sent in 1..=BURST {
        if clock::now().duration_since(began) > BURST_TIME_MAX {
            break;
        }
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
        let_in = sent;
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
            format!("{let_in} requests in a row were all let in"),
            "bound what one client may ask for, here or at the proxy in front",
        ),
    }
}
