//! Rows for people and for programs.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::figures::{Comparison, Figure, Spread};

/// One line of the result: ours beside one peer in one case.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) case: String,
    pub(super) figure: Figure,
    pub(super) peer: String,
    /// What the peer promises about the order of its feed; empty where there is none.
    pub(super) order: &'static str,
    pub(super) unit: &'static str,
    /// The reason, where there is no figure.
    pub(super) result: Result<Comparison, String>,
}

impl Row {
    /// The case's name with the figure it is about.
    fn title(&self) -> String {
        let case = &self.case;
        match self.figure {
            Figure::Rate => case.clone(),
            Figure::P50 => format!("{case}-p50"),
            Figure::P99 => format!("{case}-p99"),
            Figure::Cpu => format!("{case}-cpu"),
        }
    }

    /// The line for programs: `{"case","ours","peer","unit","ratio"}` and more.
    pub(super) fn json(&self) -> Value {
        let mut line = Map::new();
        let mut set = |key: &str, value: Value| line.insert(key.to_owned(), value);
        set("case", json!(self.title()));
        let result = self.result.as_ref();
        let median = |spread: fn(&Comparison) -> Spread| {
            json!(result.map(|compared| rounded(spread(compared).median)).ok())
        };
        set("ours", median(|compared| compared.ours));
        set("peer", median(|compared| compared.peer));
        set("unit", json!(self.unit));
        set("ratio", median(|compared| compared.ratio));
        set("peer_name", json!(self.peer));
        if !self.order.is_empty() {
            set("order", json!(self.order));
        }
        match &self.result {
            Ok(compared) => {
                set("ours_range", range(compared.ours));
                set("peer_range", range(compared.peer));
                set("ratio_range", range(compared.ratio));
                set("rounds", json!(compared.rounds));
                set("disturbed", json!(compared.disturbed));
            }
            Err(reason) => {
                set("failed", json!(reason));
            }
        }
        Value::Object(line)
    }
}

/// The table for people.
pub(super) fn table(rows: &[Row]) -> String {
    let mut table = format!(
        "{:<24} {:<34} {:>26} {:>26} {:>22}  {}\n",
        "case", "beside", "ours", "peer", "ratio", "unit"
    );
    for row in rows {
        // Writing to a String cannot fail.
        let _ = match &row.result {
            Ok(compared) => writeln!(
                table,
                "{:<24} {:<34} {:>26} {:>26} {:>22}  {}{}",
                row.title(),
                row.peer,
                shown(compared.ours),
                shown(compared.peer),
                shown(compared.ratio),
                row.unit,
                if compared.disturbed {
                    ", disturbed"
                } else {
                    ""
                }
            ),
            Err(reason) => writeln!(
                table,
                "{:<24} {:<34} not measured: {reason}",
                row.title(),
                row.peer
            ),
        };
    }
    table
}

fn range(spread: Spread) -> Value {
    json!([rounded(spread.low), rounded(spread.high)])
}

/// Three digits, or whole numbers: more than a shared machine can promise.
fn rounded(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let digits = 3 - 1 - value.abs().log10().floor() as i32;
    let scale = 10f64.powi(digits.max(0));
    (value * scale).round() / scale
}

/// The median, and the range where there is one.
pub(super) fn shown(spread: Spread) -> String {
    let (median, low, high) = (short(spread.median), short(spread.low), short(spread.high));
    if low == high {
        return median;
    }
    format!("{median} [{low}-{high}]")
}

/// `12.3 k` for thousands.
pub(super) fn short(value: f64) -> String {
    match value {
        _ if value >= 999_500.0 => format!("{:.2} M", value / 1e6),
        _ if value >= 99_950.0 => format!("{:.0} k", value / 1e3),
        _ if value >= 9_995.0 => format!("{:.1} k", value / 1e3),
        _ if value >= 99.95 => format!("{value:.0}"),
        _ if value >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(median: f64, low: f64, high: f64) -> Spread {
        Spread { median, low, high }
    }

    fn row(result: Result<Comparison, String>) -> Row {
        Row {
            case: "append-64".into(),
            figure: Figure::Rate,
            peer: "postgres-es".into(),
            order: "none",
            unit: "events/s",
            result,
        }
    }

    fn compared() -> Comparison {
        Comparison {
            ours: spread(62_941.7, 62_100.0, 63_000.0),
            peer: spread(8_681.0, 8_360.0, 8_751.0),
            ratio: spread(7.2504, 7.1, 7.4),
            rounds: 3,
            disturbed: false,
        }
    }

    #[test]
    fn a_line_has_the_five_keys_that_programs_read_and_more() {
        let line = row(Ok(compared())).json();
        assert_eq!(line["case"], "append-64");
        assert_eq!(line["ours"], 62_942.0);
        assert_eq!(line["peer"], 8_681.0);
        assert_eq!(line["unit"], "events/s");
        assert_eq!(line["ratio"], 7.25);
        assert_eq!(line["peer_name"], "postgres-es");
        assert_eq!(line["ratio_range"], json!([7.1, 7.4]));
        assert_eq!(line["rounds"], 3);
    }

    #[test]
    fn a_peer_that_failed_is_a_line_with_the_reason() {
        let line = row(Err("it does not compile".into())).json();
        assert_eq!(line["ratio"], Value::Null);
        assert_eq!(line["failed"], "it does not compile");
        let table = table(&[row(Err("it does not compile".into()))]);
        assert!(table.contains("not measured: it does not compile"));
    }

    #[test]
    fn people_see_three_digits_and_the_range() {
        assert_eq!(shown(compared().ours), "62.9 k [62.1 k-63.0 k]");
        assert_eq!(shown(spread(7.2504, 7.25, 7.25)), "7.25");
        assert_eq!(short(1_361_000.0), "1.36 M");
        assert_eq!(short(447_400.0), "447 k");
        assert_eq!(short(266.0), "266");
        assert_eq!(short(0.95), "0.95");
    }
}
