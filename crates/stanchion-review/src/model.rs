//! The words of a review: rule, finding, point, severity, confidence.

use serde::{Deserialize, Serialize};

use crate::architecture::Project;
use crate::found::Found;
use crate::source::Source;

/// How much a finding costs when it is right. Ordered: `Low < Medium < High`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Costs clarity or a little time.
    Low,
    /// Costs an incident under load, at a stop or at a fault.
    Medium,
    /// Costs data, money, secrets or the service.
    High,
}

/// How sure the syntax makes it. Ordered: `Low < Medium < High`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// A hint: a person has to look.
    Low,
    /// Names and shape say so; the code could still have a reason.
    Medium,
    /// The syntax proves it.
    High,
}

impl Severity {
    /// The word used in flags, reports and `stanchion.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl Confidence {
    /// The word used in flags and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What a file is written in, as far as the review cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// `*.rs`
    Rust,
    /// `*.go`
    Go,
    /// `Dockerfile`, `Containerfile`, `*.Dockerfile`
    Docker,
    /// A Kubernetes manifest: `*.yaml` or `*.yml` with `apiVersion` and `kind`.
    Kubernetes,
    /// `compose.yaml`, `docker-compose*.yml`
    Compose,
}

impl Language {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Go => "go",
            Self::Docker => "docker",
            Self::Kubernetes => "kubernetes",
            Self::Compose => "compose",
        }
    }
}

/// One point of the checklist: the architect's eight, then the shipping checklist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // `title` says what each is; a sentence a variant would say it twice.
pub enum Point {
    Separation,
    Dependencies,
    Errors,
    Concurrency,
    Resources,
    Observability,
    Testing,
    Security,
    Configuration,
    Health,
    Shutdown,
    Migrations,
    Monitoring,
    Logs,
    RateLimits,
    Cors,
    Headers,
    Tls,
    Backup,
}

impl Point {
    /// Every point in the order in which a report answers them.
    pub const ALL: [Self; 19] = [
        Self::Separation,
        Self::Dependencies,
        Self::Errors,
        Self::Concurrency,
        Self::Resources,
        Self::Observability,
        Self::Testing,
        Self::Security,
        Self::Configuration,
        Self::Health,
        Self::Shutdown,
        Self::Migrations,
        Self::Monitoring,
        Self::Logs,
        Self::RateLimits,
        Self::Cors,
        Self::Headers,
        Self::Tls,
        Self::Backup,
    ];

    /// The point in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Separation => "Separation of concerns",
            Self::Dependencies => "Dependency direction",
            Self::Errors => "Error handling",
            Self::Concurrency => "Concurrency safety",
            Self::Resources => "Resource management",
            Self::Observability => "Observability",
            Self::Testing => "Testing strategy",
            Self::Security => "Security",
            Self::Configuration => "Configuration from the environment",
            Self::Health => "Health and readiness",
            Self::Shutdown => "Graceful shutdown",
            Self::Migrations => "Automated migrations",
            Self::Monitoring => "Monitoring and alerts",
            Self::Logs => "Log aggregation",
            Self::RateLimits => "Rate limits",
            Self::Cors => "CORS",
            Self::Headers => "Security headers",
            Self::Tls => "TLS",
            Self::Backup => "Backup and restore",
        }
    }

    /// Whether it belongs to the shipping checklist, which is asked of services only.
    pub fn is_shipping(self) -> bool {
        self >= Self::Configuration
    }
}

/// A bad and a good piece of code of one language; the tests hold the rule to both.
///
/// A text may hold several files, each headed by a line `//- path/of/file.rs`; without one it is `src/lib.rs`,
/// `service.go`, `Dockerfile`, `deploy.yaml` or `compose.yaml`.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// The language of both.
    pub language: Language,
    /// What the rule finds, at least once.
    pub bad: &'static str,
    /// What it does not find: the mend.
    pub good: &'static str,
}

/// How a rule looks.
#[derive(Clone, Copy)]
pub(crate) enum Check {
    /// At one file of a language.
    File(Language, fn(&Source, &mut Found)),
    /// At one file of a language, in its tests too.
    Tests(Language, fn(&Source, &mut Found)),
    /// At the facts of all files together.
    Project(fn(&Project, &mut Found)),
}

/// One thing that a review looks for.
pub struct Rule {
    /// Its name in reports and suppressions: `lock-across-await`.
    pub name: &'static str,
    /// What is wrong, in one line.
    pub title: &'static str,
    /// Why it is wrong.
    pub why: &'static str,
    /// Where that is written: an address or a book.
    pub source: &'static str,
    /// What to do instead.
    pub mend: &'static str,
    /// The point of the checklist it answers.
    pub point: Point,
    /// What it costs when it is right.
    pub severity: Severity,
    /// How sure its findings are, unless one says less.
    pub confidence: Confidence,
    /// Its looks, one a language.
    pub(crate) checks: &'static [Check],
    /// Its documentation and its tests.
    pub examples: &'static [Example],
}

/// One place that a rule found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// What is wrong here.
    pub message: String,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// The point of the checklist.
    pub point: Point,
    /// Path from the root, with `/`.
    pub path: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The offending line, trimmed, without control characters, at most 160 characters.
    pub snippet: String,
    /// The same for the same code wherever it moves in its file; what a baseline keeps.
    pub fingerprint: String,
}

impl Finding {
    /// What a report sorts by, the worst first.
    pub(crate) fn order(&self) -> (std::cmp::Reverse<(Severity, Confidence)>, &str, u32, &str) {
        (
            std::cmp::Reverse((self.severity, self.confidence)),
            &self.path,
            self.line,
            self.rule,
        )
    }
}
