//! G2: the cases of AWS's `http_desync_guardian` 0.1.3 (Apache-2.0), each sent as it is: one reading, or a refusal and the end.
//!
//! They are no part of this project: `STANCHION_DESYNC_CASES` names the folder `tests` of a copy of it. What each case is worth
//! to a proxy is its tier. What is compliant or acceptable may be served, as the one request that it is; what is ambiguous or
//! severe is refused, but for those of which RFC 9112 knows one reading alone (`ONE_READING`).

use std::path::Path;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::routing::any;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::super::shop::{service_with, settings};
use super::heads::statuses_in;
use super::*;

const FOLDER: &str = "STANCHION_DESYNC_CASES";
/// Of all files together, in that version.
const CASES: usize = 159;
/// More than any case says of its body.
const BODY_MAX: usize = 8 << 20;
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// What is asked behind each case: two requests are what a case served in good order comes to.
const NEXT: &str = "GET /next HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// What they call ambiguous and is served, by name.
const ONE_READING: [(&str, &[&str]); 3] = [
    (
        "another name, which says nothing of a body (RFC 9110, 5.1)",
        &[
            "Transfer_Encoding with underscore.",
            "Content_Length with underscore.",
            "Transfer-Encoding with multiple hyphens",
            "Transfer-Encoding with multiple delimiters",
        ],
    ),
    (
        "where a body ends is told alike whatever the method (RFC 9112, 6.3)",
        &[
            "Get with a body and Content-Length",
            "Get with a body and Transfer-Encoding",
            "Head with a body and Content-Length",
            "Head with a body and Transfer-Encoding",
            "Has a CL in GET",
            "Has a TE in GET",
        ],
    ),
    (
        "both say the same length, as a proxy may send it (RFC 9110, 8.6)",
        &["Duplicate Content-Length", "Two Identical Fields - CL"],
    ),
];

#[derive(Debug, Default)]
struct Case {
    name: String,
    method: String,
    uri: String,
    version: String,
    headers: Vec<(String, String)>,
    tier: String,
}

/// A request as the handler has it; the bytes of its body once it was read to its end.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    method: String,
    target: String,
    body: Option<usize>,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Served,
    Refused,
}

#[tokio::test]
async fn the_cases_of_the_desync_guardian_have_one_reading_or_none() {
    let Some(cases) = cases() else {
        return;
    };
    assert_eq!(cases.len(), CASES);
    let server = Server::start().await;
    let (mut served, mut wrong) = (0, Vec::<String>::new());
    for case in &cases {
        let outcome = server.replay(case).await;
        served += usize::from(outcome == Ok(Outcome::Served));
        if let Err(why) = case.judge(outcome) {
            wrong.push(format!("{} ({}): {why}", case.name, case.tier));
        }
    }
    println!("{served} of {CASES} served, the others refused");
    let listed = wrong.join("\n");
    assert!(wrong.is_empty(), "{} cases:\n{listed}", wrong.len());
}

/// All cases of all files; none, told loudly, where nobody says where they are.
fn cases() -> Option<Vec<Case>> {
    let Some(folder) = std::env::var_os(FOLDER) else {
        eprintln!(
            "\n*** SKIPPED: {FOLDER} names no folder with the cases; NOTHING WAS REPLAYED ***\n"
        );
        return None;
    };
    let folder = Path::new(&folder);
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "yaml"));
    paths.sort();
    let text = |path| std::fs::read_to_string(path).unwrap();
    let texts = paths.into_iter().map(text);
    Some(texts.flat_map(|text| parsed(&text)).collect())
}

/// What these files use of YAML: a key and a scalar on each line, told apart by how far they are indented.
fn parsed(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let line = line.trim();
        let entry = line.strip_prefix("- ").unwrap_or(line);
        let Some((key, value)) = entry.split_once(':') else {
            continue;
        };
        if entry.starts_with('#') {
            continue;
        }
        if (indent, key) == (0, "name") {
            cases.push(Case::default());
        }
        let Some(case) = cases.last_mut() else {
            continue;
        };
        let value = scalar(value.trim());
        match (indent, key) {
            (0, "name") => case.name = value,
            (2, "method") => case.method = value,
            (2, "uri") => case.uri = value,
            (2, "version") => case.version = value,
            (4, "name") => case.headers.push((value, String::new())),
            (6, "value") => case.headers.last_mut().unwrap().1 = value,
            (4, "tier") => case.tier = value,
            _ => {}
        }
    }
    cases
}

/// A plain one, or one in quotes.
fn scalar(text: &str) -> String {
    let within = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(text) = within('\'') {
        return text.replace("''", "'");
    }
    let Some(text) = within('"') else {
        return text.to_owned();
    };
    let (mut chars, mut out) = (text.chars(), String::new());
    while let Some(next) = chars.next() {
        let next = match next {
            '\\' => unescaped(&mut chars),
            plain => plain,
        };
        out.push(next);
    }
    out
}

/// What stands behind a backslash.
fn unescaped(chars: &mut std::str::Chars<'_>) -> char {
    match chars.next().unwrap() {
        '0' => '\0',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'x' => {
            let digits: String = chars.take(2).collect();
            char::from(u8::from_str_radix(&digits, 16).unwrap())
        }
        other => other,
    }
}

impl Case {
    /// As it goes over the wire, with a host unless it has one: without, it would be refused for that.
    fn head(&self) -> String {
        let Self {
            method,
            uri,
            version,
            ..
        } = self;
        let line = match version.as_str() {
            "" => format!("{method} {uri}\r\n"),
            version => format!("{method} {uri} {version}\r\n"),
        };
        let host = match self.values("host").next() {
            None => "host: a\r\n",
            Some(_) => "",
        };
        let header = |(name, value): &(String, String)| format!("{name}: {value}\r\n");
        let headers: String = self.headers.iter().map(header).collect();
        format!("{line}{host}{headers}\r\n")
    }

    fn values(&self, sought: &str) -> impl Iterator<Item = &str> {
        let is_it = move |(name, _): &&(String, String)| name.eq_ignore_ascii_case(sought);
        let found = self.headers.iter().filter(is_it);
        found.map(|(_, value)| value.trim())
    }

    /// What follows the head as RFC 9112 reads it, and how long a body that is: no chunks, or as many bytes as it says.
    fn body(&self) -> (String, usize) {
        if self.values("transfer-encoding").next().is_some() {
            return ("0\r\n\r\n".to_owned(), 0);
        }
        let length = self.values("content-length").next();
        let length = length.and_then(|length| length.parse::<usize>().ok());
        let bytes = length.filter(|bytes| *bytes <= BODY_MAX).unwrap_or(0);
        ("x".repeat(bytes), bytes)
    }

    /// As the handler has to see it.
    fn seen(&self) -> Seen {
        // A fragment is the client's own.
        let (target, _) = self.uri.split_once('#').unwrap_or((self.uri.as_str(), ""));
        Seen {
            method: self.method.clone(),
            target: target.to_owned(),
            body: Some(self.body().1),
        }
    }

    fn judge(&self, outcome: Result<Outcome, String>) -> Result<(), String> {
        let outcome = outcome?;
        let name = self.name.as_str();
        let listed = ONE_READING.iter().find(|(_, names)| names.contains(&name));
        let may_be_served = matches!(self.tier.as_str(), "Compliant" | "Acceptable");
        match (outcome, listed) {
            _ if may_be_served => Ok(()),
            (Outcome::Refused, None) | (Outcome::Served, Some(_)) => Ok(()),
            (Outcome::Served, None) => Err("served".to_owned()),
            (Outcome::Refused, Some((why, _))) => Err(format!("refused, although: {why}")),
        }
    }
}

/// A service that tells what reached its handler.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _running: Running,
}

impl Server {
    async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&seen);
        let see = move |request: Request| see(Arc::clone(&shared), request);
        let router = Router::new().route("/{*rest}", any(see));
        let service = service_with(settings()).mount(Module::new("own").http_router(router));
        let running = service.start().await.unwrap();
        Self {
            address: running.addresses().public.unwrap(),
            seen,
            _running: running,
        }
    }

    /// Sends it, and the next one behind it: the first alone or both are served, or nothing is.
    async fn replay(&self, case: &Case) -> Result<Outcome, String> {
        self.seen.lock().clear();
        let all = [case.head(), case.body().0, NEXT.to_owned()].concat();
        let mut line = Line::open(self.address).await;
        let mut answers = Vec::new();
        let said = async {
            // A connection that is closed meanwhile is an answer as well.
            let _ = line.0.write_all(all.as_bytes()).await;
            let _ = line.0.read_to_end(&mut answers).await;
        };
        let ended = timeout(ENDS_WITHIN, said).await.is_ok();
        let statuses = statuses_in(&String::from_utf8_lossy(&answers));
        let seen = std::mem::take(&mut *self.seen.lock());
        let next = Seen {
            method: "GET".to_owned(),
            target: "/next".to_owned(),
            body: Some(0),
        };
        let (alone, both) = ([case.seen()], [case.seen(), next]);
        let outcome = match statuses[..] {
            [400..=499 | 505] if seen.is_empty() => Some(Outcome::Refused),
            [200] if seen == alone => Some(Outcome::Served),
            [200, 200] if seen == both => Some(Outcome::Served),
            _ => None,
        };
        let outcome = outcome.filter(|_| ended);
        outcome.ok_or_else(|| format!("answered {statuses:?}, ended: {ended}, seen: {seen:?}"))
    }
}

/// Notes a request as soon as it is there, and its body when it has ended.
async fn see(seen: Arc<Mutex<Vec<Seen>>>, request: Request) -> &'static str {
    let (head, body) = request.into_parts();
    let index = {
        let mut seen = seen.lock();
        seen.push(Seen {
            method: head.method.to_string(),
            target: head.uri.to_string(),
            body: None,
        });
        seen.len() - 1
    };
    let body = to_bytes(body, BODY_MAX).await.ok();
    // Unless the next case has begun.
    if let Some(one) = seen.lock().get_mut(index) {
        one.body = body.map(|bytes| bytes.len());
    }
    "seen"
}
