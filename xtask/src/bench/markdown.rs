//! The result for a page of the documentation: one table a case.

use std::{collections::HashSet, fs, path::Path};

use anyhow::{Context, Result};

use super::{
    figures::{Comparison, Figure},
    report::{Row, short, shown},
};

/// Writes it to `file`, keeping what stands outside of the marks `<!-- bench NAME: begin -->` and `… end -->`. A file
/// without them gets them at its end.
///
/// # Errors
/// The file cannot be written, or has one mark without the other.
pub(super) fn write(file: &Path, name: &str, conditions: &[String], rows: &[Row]) -> Result<()> {
    replace(file, name, &page(conditions, rows))
}

/// Likewise, with a page that is made already.
pub(crate) fn replace(file: &Path, name: &str, page: &str) -> Result<()> {
    let before = fs::read_to_string(file).unwrap_or_default();
    let after = between_marks(&before, name, page)?;
    fs::write(file, after).with_context(|| file.display().to_string())
}

fn between_marks(before: &str, name: &str, page: &str) -> Result<String> {
    let [begin, end] = ["begin", "end"].map(|mark| format!("<!-- bench {name}: {mark} -->"));
    let Some((head, rest)) = before.split_once(&begin) else {
        return Ok(format!("{before}{begin}\n{page}{end}\n"));
    };
    let (_, tail) = rest.split_once(&end).with_context(|| format!("no {end}"))?;
    Ok(format!("{head}{begin}\n{page}{end}{tail}"))
}

fn page(conditions: &[String], rows: &[Row]) -> String {
    let mut page: String = conditions
        .iter()
        .map(|line| format!("- {line}\n"))
        .collect();
    for rows in rows.chunk_by(|one, other| one.case == other.case) {
        page.push_str(&table(rows));
    }
    page
}

/// The table of one case: a line for each peer, its figures beside ours.
fn table(rows: &[Row]) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let mut figures: Vec<Figure> = rows.iter().map(|row| row.figure).collect();
    figures.dedup();
    let ordered = !first.order.is_empty();
    let order = if ordered { " order |" } else { "" };
    let mut table = format!("\n### {}\n\n| beside |{order}", first.case);
    for figure in &figures {
        let title = match figure {
            Figure::Rate => first.unit,
            Figure::P50 => "p50 µs",
            Figure::P99 => "p99 µs",
            Figure::Cpu => "processor µs",
        };
        table.push_str(&format!(" {title}: ours | peer | ratio |"));
    }
    table.push_str(&format!(
        "\n|---|{}{}\n",
        if ordered { "---|" } else { "" },
        "--:|--:|--:|".repeat(figures.len())
    ));
    let mut seen = HashSet::new();
    // The best in one figure is not always the best in another: all of them, each once.
    for line in rows.iter().filter(|row| seen.insert(&row.peer)) {
        table.push_str(&format!("| {} |", line.peer));
        if ordered {
            table.push_str(&format!(" {} |", line.order));
        }
        for figure in &figures {
            let same = |row: &&Row| row.figure == *figure && row.peer == line.peer;
            table.push_str(&cells(rows.iter().find(same)));
        }
        table.push('\n');
    }
    table
}

/// Ours, peer, ratio. What others disturbed is no figure.
fn cells(row: Option<&Row>) -> String {
    match row.map(|row| &row.result) {
        None => " | | |".into(),
        Some(Err(reason)) => {
            let reason = reason.replace('\n', " ").replace('|', "\\|");
            format!(" not measured: {reason} | | |")
        }
        Some(Ok(Comparison {
            disturbed: true, ..
        })) => " disturbed | | |".into(),
        Some(Ok(compared)) => format!(
            " {} | {} | **{}** |",
            shown(compared.ours),
            shown(compared.peer),
            short(compared.ratio.median)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Spread;

    fn row(peer: &str, figure: Figure, result: Result<Comparison, String>) -> Row {
        Row {
            case: "append-64".into(),
            figure,
            peer: peer.into(),
            order: "global",
            unit: "events/s",
            result,
        }
    }

    fn compared(ours: f64, peer: f64, disturbed: bool) -> Comparison {
        let same = |value| Spread {
            median: value,
            low: value,
            high: value,
        };
        Comparison {
            ours: same(ours),
            peer: same(peer),
            ratio: same(ours / peer),
            rounds: 3,
            disturbed,
        }
    }

    #[test]
    fn a_peer_is_one_line_with_all_its_figures() {
        let rows = [
            row("a", Figure::Rate, Ok(compared(100.0, 50.0, false))),
            row("b", Figure::Rate, Err("no network".into())),
            row("a", Figure::P99, Ok(compared(200.0, 800.0, false))),
        ];
        let page = page(&["a machine".into()], &rows);
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(
            lines,
            [
                "- a machine",
                "",
                "### append-64",
                "",
                "| beside | order | events/s: ours | peer | ratio | p99 µs: ours | peer | ratio |",
                "|---|---|--:|--:|--:|--:|--:|--:|",
                "| a | global | 100 | 50.0 | **2.00** | 200 | 800 | **0.25** |",
                "| b | global | not measured: no network | | | | | |",
            ]
        );
    }

    #[test]
    fn a_disturbed_figure_is_not_published() {
        let rows = [row("a", Figure::Rate, Ok(compared(100.0, 50.0, true)))];
        let page = page(&[], &rows);
        assert!(page.contains("| a | global | disturbed | | |"), "{page}");
    }

    #[test]
    fn a_table_without_orders_has_no_column_for_them() {
        let mut row = row("a", Figure::Cpu, Ok(compared(5.0, 10.0, false)));
        row.order = "";
        let page = page(&[], &[row]);
        assert!(
            page.contains(
                "| beside | processor µs: ours | peer | ratio |\n|---|--:|--:|--:|\n| a | 5.00"
            ),
            "{page}"
        );
    }

    #[test]
    fn only_what_stands_between_the_marks_of_that_bench_is_replaced() {
        let mark = |name, mark| format!("<!-- bench {name}: {mark} -->\n");
        let section = |name, text| format!("{}{text}\n{}", mark(name, "begin"), mark(name, "end"));
        let [log, old, new] = [
            section("log", "kept"),
            section("server", "old"),
            section("server", "new"),
        ];
        let before = format!("# Title\n{log}{old}End\n");
        let after = between_marks(&before, "server", "new\n").unwrap();
        assert_eq!(after, format!("# Title\n{log}{new}End\n"));
        assert_eq!(between_marks(&after, "server", "new\n").unwrap(), after);
        assert!(between_marks(&mark("server", "begin"), "server", "new").is_err());
        assert_eq!(
            between_marks(&log, "server", "new\n").unwrap(),
            format!("{log}{new}")
        );
    }
}
