//! Signs in the source that a point of the checklist holds, each with its place.

mod go;
mod manifest;
mod rust;

use serde::Serialize;

use self::go::GO;
use self::manifest::{DOCKER, MANIFEST};
use self::rust::RUST;
use crate::model::{Language, Point};
use crate::source::Source;

/// A place that speaks for a point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The point.
    pub point: Point,
    /// What was seen, in words.
    pub what: &'static str,
    /// Path from the root.
    pub path: String,
    /// Line from 1.
    pub line: u32,
}

/// What is looked for: the point, what it is in words, texts any of which shows it.
type Sign = (Point, &'static str, &'static [&'static str]);

/// Signs of one file; of each sign the first place.
pub(crate) fn of(source: &Source) -> Vec<Evidence> {
    let signs = match source.language {
        Language::Rust => RUST,
        Language::Go => GO,
        Language::Kubernetes | Language::Compose => MANIFEST,
        Language::Docker => DOCKER,
    };
    let mut all: Vec<Evidence> = Vec::new();
    for (point, what, texts) in signs {
        let place = texts
            .iter()
            .flat_map(|text| source.text.match_indices(text))
            .map(|(at, _)| at)
            .filter(|at| !source.in_comment(*at) && !source.in_test(*at))
            .min();
        if let Some(at) = place {
            all.push(Evidence {
                point: *point,
                what,
                path: source.path.clone(),
                line: source.line_of(at),
            });
        }
    }
    all.extend(tests(source));
    all
}

fn tests(source: &Source) -> Option<Evidence> {
    let marks: &[&str] = match source.language {
        Language::Rust => &[
            "#[test]",
            "#[tokio::test",
            "#[actix_web::test",
            "#[sqlx::test",
            "#[rstest]",
            "proptest!",
        ],
        Language::Go => &["func Test", "func Fuzz"],
        _ => return None,
    };
    let at = marks
        .iter()
        .filter_map(|mark| source.text.find(mark))
        .filter(|at| !source.in_comment(*at))
        .min()?;
    Some(Evidence {
        point: Point::Testing,
        what: "tests",
        path: source.path.clone(),
        line: source.line_of(at),
    })
}

/// What files that are not source say by being there.
pub(crate) fn of_others(paths: &[String]) -> Vec<Evidence> {
    let mut all = Vec::new();
    for path in paths {
        let lower = path.to_ascii_lowercase();
        let mut push = |point, what| {
            all.push(Evidence {
                point,
                what,
                path: path.clone(),
                line: 1,
            })
        };
        if lower.contains("migration") && lower.ends_with(".sql") {
            push(Point::Migrations, "migration files");
        }
        if lower.starts_with(".github/workflows/") {
            push(Point::Testing, "a workflow");
        }
        if lower.ends_with(".env.example") {
            push(Point::Configuration, "a template of the environment");
        }
        if lower.contains("backup") || lower.contains("restore") {
            push(Point::Backup, "a document or script of backup and restore");
        }
        if lower.contains("alert") || lower.contains("dashboard") || lower.contains("grafana") {
            push(Point::Monitoring, "alerts or dashboards");
        }
    }
    all
}
