//! The result for a page of the documentation: one table a case.

use std::{collections::HashSet, fs, path::Path};

use anyhow::{Context, Result};

use super::{
    figures::{Comparison, Figure},
    report::{Row, short, shown},
};

/// What stands between them in a file is replaced.
const BEGIN: &str = "<!-- bench log: begin -->";
const END: &str = "<!-- bench log: end -->";

/// Writes it to `file`, keeping what stands outside of its marks.
///
/// # Errors
/// The file cannot be written, or has one mark without the other.
pub(super) fn write(file: &Path, conditions: &[String], rows: &[Row]) -> Result<()> {
    let before = fs::read_to_string(file).unwrap_or_default();
    let after = between_marks(&before, &page(conditions, rows))?;
    fs::write(file, after).with_context(|| file.display().to_string())
}

fn between_marks(before: &str, page: &str) -> Result<String> {
    let Some((head, rest)) = before.split_once(BEGIN) else {
        return Ok(format!("{BEGIN}\n{page}{END}\n"));
    };
    let (_, tail) = rest.split_once(END).with_context(|| format!("no {END}"))?;
    Ok(format!("{head}{BEGIN}\n{page}{END}{tail}"))
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
    let mut table = format!("\n### {}\n\n| beside | order |", first.case);
    for figure in &figures {
        let title = match figure {
            Figure::Rate => first.unit,
            Figure::P50 => "p50 µs",
            Figure::P99 => "p99 µs",
        };
        table.push_str(&format!(" {title}: ours | peer | ratio |"));
    }
    table.push_str(&format!(
        "\n|---|---|{}\n",
        "--:|--:|--:|".repeat(figures.len())
    ));
    let mut seen = HashSet::new();
    // The best in one figure is not always the best in another: all of them, each once.
    for line in rows.iter().filter(|row| seen.insert(&row.peer)) {
        table.push_str(&format!("| {} | {} |", line.peer, line.order));
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
    fn only_what_stands_between_the_marks_is_replaced() {
        let before = format!("# Title\n{BEGIN}\nold\n{END}\nEnd\n");
        let after = between_marks(&before, "new\n").unwrap();
        assert_eq!(after, format!("# Title\n{BEGIN}\nnew\n{END}\nEnd\n"));
        assert_eq!(between_marks(&after, "new\n").unwrap(), after);
        assert!(between_marks(BEGIN, "new").is_err());
        assert_eq!(
            between_marks("", "new\n").unwrap(),
            format!("{BEGIN}\nnew\n{END}\n")
        );
    }
}
