//! A run over time: what was due and failed, and how slow it was, second by second.

use super::sheet::{Axis, Sheet};
use crate::report::Report;

const WIDTH: u32 = 720;
const HEIGHT: u32 = 420;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 58.0;
/// Between latency above and rate below.
const MIDDLE: f64 = 260.0;
const LOWER: f64 = 290.0;
const BOTTOM: f64 = 380.0;

/// Something that happened during the run, drawn as a band.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// What, in a word or two.
    pub name: String,
    /// Seconds since measuring began.
    pub from: f64,
    /// Likewise.
    pub to: f64,
}

/// Latency (p50, p99, slowest; logarithmic) above, requests and errors a second below; `limit_ms` draws a line that p99
/// should stay under.
#[must_use]
pub fn over_time(title: &str, report: &Report, marks: &[Mark], limit_ms: Option<f64>) -> String {
    let seconds = report.series.len().max(1) as f64;
    let across = Axis::linear(0.0, seconds, LEFT, RIGHT);
    let mut sheet = Sheet::new(WIDTH, HEIGHT, title);
    for mark in marks {
        let (from, to) = (across.at(mark.from), across.at(mark.to));
        let (width, height) = ((to - from).max(1.0), BOTTOM - TOP);
        sheet.put(&format!(
            "<rect class=\"band\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        ));
        sheet.words(from, MIDDLE + 17.0, "start", &mark.name);
    }
    latency(&mut sheet, report, &across, limit_ms);
    rates(&mut sheet, report, &across);
    for tick in across.ticks() {
        sheet.words(
            across.at(tick),
            BOTTOM + 18.0,
            "middle",
            &format!("{tick} s"),
        );
    }
    let names = [
        ("a", "p50"),
        ("b", "p99"),
        ("e", "slowest"),
        ("c", "requests/s"),
        ("f", "errors/s"),
    ];
    sheet.legend(LEFT, 42.0, names);
    sheet.done()
}

fn latency(sheet: &mut Sheet, report: &Report, across: &Axis, limit_ms: Option<f64>) {
    let ms = |us: u64| us as f64 / 1_000.0;
    let series = &report.series;
    let slowest = series.iter().map(|second| ms(second.max_us));
    let slowest = slowest.fold(limit_ms.unwrap_or(1.0), f64::max);
    let median = series.iter().map(|second| ms(second.p50_us));
    let fastest = median.filter(|ms| *ms > 0.0).fold(1.0, f64::min);
    let up = Axis::log(fastest.max(0.01), slowest * 1.2, MIDDLE, TOP);
    sheet.rows(&up, LEFT, RIGHT, " ms");
    sheet.put(&format!(
        "<path class=\"axis\" d=\"M{LEFT} {TOP}V{MIDDLE}H{RIGHT}\"/>"
    ));
    if let Some(limit) = limit_ms {
        let y = up.at(limit);
        sheet.put(&format!(
            "<path class=\"limit\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>"
        ));
    }
    for (class, value) in [
        ("e", series.iter().map(|it| it.max_us).collect::<Vec<_>>()),
        ("b", series.iter().map(|it| it.p99_us).collect()),
        ("a", series.iter().map(|it| it.p50_us).collect()),
    ] {
        let middle = |second: usize| across.at(second as f64 + 0.5);
        let points = value.iter().enumerate();
        sheet.line(
            class,
            points.map(|(second, us)| (middle(second), up.at(ms(*us)))),
        );
    }
}

fn rates(sheet: &mut Sheet, report: &Report, across: &Axis) {
    let series = &report.series;
    let most = series.iter().map(|second| second.due).max().unwrap_or(1);
    let up = Axis::linear(0.0, most as f64 * 1.1, BOTTOM, LOWER);
    sheet.rows(&up, LEFT, RIGHT, "");
    sheet.put(&format!(
        "<path class=\"axis\" d=\"M{LEFT} {LOWER}V{BOTTOM}H{RIGHT}\"/>"
    ));
    for (class, value) in [
        ("c", series.iter().map(|it| it.due).collect::<Vec<_>>()),
        ("f", series.iter().map(|it| it.errors).collect()),
    ] {
        let middle = |second: usize| across.at(second as f64 + 0.5);
        let points = value.iter().enumerate();
        sheet.line(
            class,
            points.map(|(second, count)| (middle(second), up.at(*count as f64))),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Second;

    #[test]
    fn a_run_is_five_lines_with_what_happened_behind_them() {
        let second = |p99_us| Second {
            due: 1_000,
            errors: 0,
            p50_us: 500,
            p99_us,
            max_us: p99_us * 2,
        };
        let report = Report {
            series: (1..60).map(|number| second(number * 100)).collect(),
            ..Report::default()
        };
        let mark = Mark {
            name: "Redis gone".into(),
            from: 20.0,
            to: 30.0,
        };
        let picture = over_time("A run", &report, &[mark], Some(25.0));
        for class in ["a", "b", "c", "e", "f"] {
            let line = format!("<path class=\"line {class}\"");
            assert_eq!(picture.matches(&line).count(), 2, "{class}");
        }
        assert!(picture.contains("Redis gone"));
        assert!(!picture.contains("NaN"));
    }

    #[test]
    fn an_empty_run_is_drawn_without_lines() {
        let picture = over_time("Nothing", &Report::default(), &[], None);
        assert!(!picture.contains("NaN"));
    }
}
