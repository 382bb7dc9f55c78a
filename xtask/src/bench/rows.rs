//! The rows of a case: ours beside each peer, beside the best that keeps order, beside the best of any kind.

use super::{
    cases::Case,
    figures::{Comparison, Figure, Measurement, compare},
    peers::{Contestant, Order},
    report::Row,
    turns::Pair,
};

/// Marks the row of a case in which our own driver failed.
pub(super) const FAILED: &str = " (ours failed)";

/// The one row of a case in which our own driver failed.
pub(super) fn ours_failed(case: &Case, error: &anyhow::Error) -> Row {
    Row {
        case: format!("{}{FAILED}", case.name),
        figure: case.figures[0],
        peer: "all".into(),
        order: Order::None.word(),
        unit: case.unit,
        result: Err(format!("{error:#}")),
    }
}

/// One row for each peer and figure, and one beside the best.
pub(super) fn of(
    case: &Case,
    pairs: &[Vec<Pair<Measurement>>],
    failed: &[Option<String>],
) -> Vec<Row> {
    let mut rows = Vec::new();
    for figure in case.figures {
        let mut compared = Vec::new();
        for ((peer, pairs), failed) in case.peers.iter().zip(pairs).zip(failed) {
            match (compare(pairs, *figure), failed) {
                (Some(comparison), _) => {
                    compared.push((peer, comparison.clone()));
                    rows.push(row(case, *figure, peer.name, peer.order, Ok(comparison)));
                }
                (None, Some(reason)) if *figure == case.figures[0] => {
                    rows.push(row(
                        case,
                        *figure,
                        peer.name,
                        peer.order,
                        Err(reason.clone()),
                    ));
                }
                // It gives no such figure, or its failure is reported already.
                (None, _) => {}
            }
        }
        rows.extend(best(case, *figure, &compared));
    }
    rows
}

fn row(
    case: &Case,
    figure: Figure,
    peer: &str,
    order: Order,
    result: Result<Comparison, String>,
) -> Row {
    Row {
        case: case.name.to_owned(),
        figure,
        peer: peer.to_owned(),
        order: order.word(),
        unit: if figure == Figure::Rate {
            case.unit
        } else {
            "us"
        },
        result,
    }
}

/// Beside the best store of any kind, and the best that keeps one order for all.
fn best(case: &Case, figure: Figure, compared: &[(&Contestant, Comparison)]) -> Vec<Row> {
    let stores = || {
        compared
            .iter()
            .filter(|(peer, _)| peer.order != Order::None)
    };
    let better = |comparison: &Comparison| match figure {
        Figure::Rate => comparison.peer.median,
        // Less is better.
        Figure::P50 | Figure::P99 | Figure::Cpu => -comparison.peer.median,
    };
    let best_of = |only_ordered: bool, title: &str| {
        let (peer, comparison) = stores()
            .filter(|(peer, _)| !only_ordered || peer.order == Order::Global)
            .max_by(|(_, one), (_, other)| better(one).total_cmp(&better(other)))?;
        let name = format!("{title}: {}", peer.name);
        Some(row(case, figure, &name, peer.order, Ok(comparison.clone())))
    };
    if stores().count() < 2 {
        return Vec::new();
    }
    [best_of(true, "best ordered"), best_of(false, "best of any")]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::cases;

    #[test]
    fn the_best_peer_is_chosen_among_stores_and_never_among_limits() {
        let case = cases::all().remove(2);
        let measured = |rate: f64| Measurement {
            rate,
            ..Measurement::default()
        };
        let pairs: Vec<Vec<Pair<Measurement>>> = (1..=case.peers.len())
            .map(|peer| {
                vec![Pair {
                    ours: measured(1_000.0),
                    peer: measured(100.0 * peer as f64),
                }]
            })
            .collect();
        let failed = vec![None; case.peers.len()];
        let rows = of(&case, &pairs, &failed);
        let best: Vec<&str> = rows
            .iter()
            .filter(|row| row.peer.starts_with("best"))
            .map(|row| row.peer.as_str())
            .collect();
        assert_eq!(
            best,
            [
                "best ordered: emmett-postgresql",
                "best of any: emmett-postgresql"
            ]
        );
        assert_eq!(rows.len(), case.peers.len() + 2);
    }

    #[test]
    fn a_failed_peer_is_one_row_with_its_reason() {
        let case = cases::all().remove(0);
        let pairs = vec![Vec::new(); case.peers.len()];
        let failed = vec![Some("no network".to_owned()); case.peers.len()];
        let rows = of(&case, &pairs, &failed);
        assert_eq!(rows.len(), case.peers.len());
        assert!(
            rows.iter()
                .all(|row| row.result == Err("no network".into()))
        );
    }
}
