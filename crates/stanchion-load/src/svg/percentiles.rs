//! The latency curve: which share of requests is answered within which time.

use super::sheet::{Axis, LINES, Sheet, short};
use crate::report::{Latency, Report};

const WIDTH: u32 = 720;
const HEIGHT: u32 = 340;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 290.0;
/// What is marked on the axis of shares.
const MARKED: [(f64, &str); 6] = [
    (0.0, "0 %"),
    (0.5, "50 %"),
    (0.9, "90 %"),
    (0.99, "99 %"),
    (0.999, "99.9 %"),
    (0.9999, "99.99 %"),
];

/// Latency by percentile, a line for each named report (at most six), both axes logarithmic; `limit_ms` draws a line that
/// should not be crossed at 99 %.
#[must_use]
pub fn percentiles(title: &str, reports: &[(&str, &Report)], limit_ms: Option<f64>) -> String {
    let curves: Vec<(&str, &Latency)> = reports
        .iter()
        .take(LINES.len())
        .map(|(name, report)| (*name, &report.latency))
        .collect();
    let points = || curves.iter().flat_map(|(_, latency)| &latency.curve);
    let times = points().map(|(_, us)| *us as f64 / 1_000.0);
    let slowest = times.clone().fold(limit_ms.unwrap_or(1.0), f64::max);
    let fastest = times.filter(|ms| *ms > 0.0).fold(1.0, f64::min);
    let finest = points().map(|(share, _)| *share).fold(0.99, f64::max);
    let across = Axis::log(1.0, rarity(finest), LEFT, RIGHT);
    let up = Axis::log(fastest.max(0.01), slowest * 1.2, BOTTOM, TOP);
    let mut sheet = Sheet::new(WIDTH, HEIGHT, title);
    sheet.rows(&up, LEFT, RIGHT, " ms");
    for (share, name) in MARKED.iter().filter(|(share, _)| *share <= finest) {
        let x = across.at(rarity(*share));
        sheet.put(&format!(
            "<path class=\"grid\" d=\"M{x:.1} {TOP}V{BOTTOM}\"/>"
        ));
        sheet.words(x, BOTTOM + 18.0, "middle", name);
    }
    sheet.put(&format!(
        "<path class=\"axis\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/>"
    ));
    if let Some(limit) = limit_ms {
        let (from, to, y) = (across.at(1.0), across.at(rarity(0.99)), up.at(limit));
        sheet.put(&format!(
            "<path class=\"limit\" d=\"M{from:.1} {y:.1}H{to:.1}\"/>"
        ));
        let words = format!("p99 within {} ms", short(limit));
        sheet.words(from + 4.0, y - 4.0, "start", &words);
    }
    for ((_, latency), class) in curves.iter().zip(LINES) {
        let point =
            |(share, us): &(f64, u64)| (across.at(rarity(*share)), up.at(*us as f64 / 1_000.0));
        sheet.line(class, latency.curve.iter().map(point));
    }
    let names = curves.iter().zip(LINES);
    sheet.legend(LEFT, 42.0, names.map(|((name, _), class)| (class, *name)));
    sheet.words(
        (LEFT + RIGHT) / 2.0,
        BOTTOM + 38.0,
        "middle",
        "share of requests",
    );
    sheet.done()
}

/// One of so many is slower.
fn rarity(share: f64) -> f64 {
    1.0 / (1.0 - share).max(1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(factor: u64) -> Report {
        let curve = [(0.0, 300), (0.5, 800), (0.99, 4_000), (0.999, 20_000)];
        let mut report = Report::default();
        report.latency.curve = curve.map(|(share, us)| (share, us * factor)).to_vec();
        report
    }

    #[test]
    fn each_report_is_a_line_and_a_name() {
        let (ours, peer) = (report(1), report(7));
        let reports = [("ours", &ours), ("peer & co", &peer)];
        let picture = percentiles("Latency", &reports, Some(25.0));
        assert_eq!(picture.matches("<path class=\"line a\"").count(), 2);
        assert_eq!(picture.matches("<path class=\"line b\"").count(), 2);
        assert!(picture.contains("peer &amp; co") && picture.contains("99.9 %"));
        assert!(picture.contains("p99 within 25 ms"));
        assert!(!picture.contains("NaN") && !picture.contains("99.99 %"));
    }

    #[test]
    fn no_report_is_an_empty_picture() {
        assert!(!percentiles("Nothing", &[], None).contains("NaN"));
        let empty = Report::default();
        assert!(!percentiles("Nothing", &[("none", &empty)], None).contains("NaN"));
    }
}
