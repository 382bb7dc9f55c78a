//! What is kept of a file once it was read: what rules over the whole repository need.

use serde::Serialize;

use crate::evidence::{self, Evidence};
use crate::model::Language;
use crate::source::Source;

/// A name that a file takes from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Import {
    /// `crate::orders::domain`, `example.com/shop/internal/orders`.
    pub path: String,
    /// Line from 1.
    pub line: u32,
    /// In a test only.
    pub in_test: bool,
}

/// What is known of a file.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// Path from the root.
    pub path: String,
    /// Its language.
    pub language: Language,
    /// It is a test as a whole.
    pub is_test: bool,
    /// A tool made it.
    pub is_generated: bool,
    /// It listens on a port.
    pub serves: bool,
    /// What it takes from elsewhere, in the order of the text.
    pub imports: Vec<Import>,
    /// What it shows for points of the checklist.
    pub evidence: Vec<Evidence>,
    /// Lines that hold one of the marks that project rules ask for: mark, line, text.
    #[serde(skip)]
    pub(crate) marks: Vec<(&'static str, u32, String)>,
}

/// Texts that rules over the whole repository look for, outside comments.
const MARKS: [&str; 12] = [
    "SetMaxOpenConns",
    "sql.Open(",
    "sqlx.Open(",
    "sqlx.Connect(",
    "net/http/pprof",
    "http.ListenAndServe(",
    "x-dead-letter-exchange",
    "queue_declare(",
    "QueueDeclare(",
    "deadletter",
    "dead_letter",
    "dead-letter",
];

pub(crate) fn of(source: &Source) -> Facts {
    Facts {
        path: source.path.clone(),
        language: source.language,
        is_test: source.is_test,
        is_generated: source.is_generated,
        serves: !source.is_test && !source.is_generated && serves(source),
        imports: imports(source),
        evidence: if source.is_generated {
            Vec::new()
        } else {
            evidence::of(source)
        },
        marks: if source.is_test || source.is_generated {
            Vec::new()
        } else {
            marks(source)
        },
    }
}

fn serves(source: &Source) -> bool {
    let signs = [
        "axum::serve(",
        "HttpServer::new(",
        "Server::builder()",
        "rocket::build()",
        "warp::serve(",
        "Service::new(",
        "poem::Server",
        "ListenAndServe",
        "gin.Default()",
        "gin.New()",
        "echo.New()",
        "fiber.New(",
        "grpc.NewServer(",
        "http.Serve(",
        "http.Server{",
    ];
    signs.iter().any(|sign| {
        source
            .text
            .match_indices(sign)
            .any(|(at, _)| !source.in_comment(at) && !source.in_test(at))
    })
}

fn marks(source: &Source) -> Vec<(&'static str, u32, String)> {
    let mut all = Vec::new();
    for mark in MARKS {
        let places = source
            .text
            .match_indices(mark)
            .map(|(at, _)| at)
            .filter(|at| !source.in_comment(*at) && !source.in_test(*at));
        all.extend(places.take(20).map(|at| {
            let line = source.line_of(at);
            (mark, line, source.line(line).chars().take(400).collect())
        }));
    }
    all
}

fn imports(source: &Source) -> Vec<Import> {
    let mut all = Vec::new();
    match source.language {
        Language::Rust => {
            for node in source.each("use_declaration").take(2000) {
                let Some(argument) = node.field("argument") else {
                    continue;
                };
                for path in spread(argument.text()) {
                    all.push(Import {
                        path,
                        line: source.line_of(node.start()),
                        in_test: source.in_test(node.start()),
                    });
                }
            }
        }
        Language::Go => {
            for node in source.each("import_spec").take(2000) {
                let path = node.field_text("path").trim_matches('"').to_owned();
                all.push(Import {
                    path,
                    line: source.line_of(node.start()),
                    in_test: source.is_test,
                });
            }
        }
        Language::Docker | Language::Kubernetes | Language::Compose => {}
    }
    all
}

/// `a::{b, c::d}` as `a::b`, `a::c::d`; inner braces are cut to their stem.
fn spread(text: &str) -> Vec<String> {
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((stem, list)) = text.split_once('{') else {
        return vec![text.split(" as ").next().unwrap_or("").trim().to_owned()];
    };
    let mut depth = 0_u32;
    let mut all = Vec::new();
    let mut part = String::new();
    for letter in list.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => all.push(std::mem::take(&mut part)),
            _ if depth == 0 => part.push(letter),
            _ => {}
        }
    }
    all.iter()
        .map(|part| part.split(" as ").next().unwrap_or("").trim())
        .filter(|part| !part.is_empty())
        .map(|part| format!("{stem}{part}").trim_end_matches(':').to_owned())
        .collect()
}
