//! The checklist: each point answered by findings and evidence, with one verdict.

use std::fmt::Write as _;

use serde::Serialize;

use crate::evidence::Evidence;
use crate::model::{Confidence, Finding, Point, Severity};

/// How a point stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Evidence and nothing against it.
    Holds,
    /// Findings, none of which is both grave and sure.
    Weak,
    /// At least one finding of high severity that is not a mere hint.
    Broken,
    /// Neither finding nor evidence: a person has to answer.
    Unknown,
    /// Asked of services only, and nothing here serves.
    NotAsked,
}

/// The answer to one point.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The point.
    pub point: Point,
    /// How it stands.
    pub verdict: Verdict,
    /// The verdict in one sentence.
    pub sentence: String,
    /// Number of findings.
    pub findings: usize,
    /// Up to five places that speak for it, the most telling kinds first.
    pub evidence: Vec<Evidence>,
}

/// Places shown for a point.
const EVIDENCE_MAX: usize = 5;

/// Answers every point.
pub(crate) fn answer(findings: &[Finding], evidence: &[Evidence], serves: bool) -> Vec<Answer> {
    Point::ALL
        .iter()
        .map(|point| answer_one(*point, findings, evidence, serves))
        .collect()
}

fn answer_one(point: Point, findings: &[Finding], evidence: &[Evidence], serves: bool) -> Answer {
    let of_point: Vec<_> = findings
        .iter()
        .filter(|finding| finding.point == point)
        .collect();
    let shown = pick(point, evidence);
    let grave = of_point
        .iter()
        .filter(|finding| {
            finding.severity == Severity::High && finding.confidence > Confidence::Low
        })
        .count();
    let verdict = match () {
        () if grave > 0 => Verdict::Broken,
        () if !of_point.is_empty() => Verdict::Weak,
        () if !shown.is_empty() => Verdict::Holds,
        () if point.is_shipping() && !serves => Verdict::NotAsked,
        () if matches!(point, Point::Separation | Point::Dependencies) => Verdict::Holds,
        () => Verdict::Unknown,
    };
    Answer {
        point,
        verdict,
        sentence: sentence(verdict, &of_point, grave, &shown),
        findings: of_point.len(),
        evidence: shown,
    }
}

/// One place of each kind of evidence first, so that five places say five things.
fn pick(point: Point, evidence: &[Evidence]) -> Vec<Evidence> {
    let mut picked: Vec<Evidence> = Vec::new();
    let of_point = || evidence.iter().filter(|evidence| evidence.point == point);
    for one in of_point() {
        if picked.iter().all(|other| other.what != one.what) {
            picked.push(one.clone());
        }
    }
    for one in of_point() {
        if !picked.contains(one) && picked.len() < EVIDENCE_MAX {
            picked.push(one.clone());
        }
    }
    picked.truncate(EVIDENCE_MAX);
    picked
}

fn sentence(verdict: Verdict, findings: &[&Finding], grave: usize, shown: &[Evidence]) -> String {
    let worst = findings.iter().min_by_key(|finding| finding.order());
    let first = worst.map_or(String::new(), |finding| {
        format!(
            "{} ({}:{})",
            lower(&finding.message),
            finding.path,
            finding.line
        )
    });
    match verdict {
        Verdict::Broken => format!(
            "Not ready: {grave} grave of {}; first mend: {first}.",
            count(findings.len())
        ),
        Verdict::Weak => format!(
            "Usable with care: {}; first look at: {first}.",
            count(findings.len())
        ),
        Verdict::Holds if shown.is_empty() => "Nothing against it was found.".to_owned(),
        Verdict::Holds => {
            let mut text = "Holds, as far as the source shows: ".to_owned();
            let mut kinds: Vec<&str> = shown.iter().map(|evidence| evidence.what).collect();
            kinds.dedup();
            let _ = write!(text, "{}.", kinds.join(", "));
            text
        }
        Verdict::Unknown => {
            "The source shows nothing for it: answer it by hand, or write down who else does it."
                .to_owned()
        }
        Verdict::NotAsked => "Not asked: nothing here listens on a port.".to_owned(),
    }
}

fn count(findings: usize) -> String {
    if findings == 1 {
        "1 finding".to_owned()
    } else {
        format!("{findings} findings")
    }
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_lowercase().chain(letters).collect()
    })
}
