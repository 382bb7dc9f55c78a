//! A map of the layers, drawn from the imports: as Mermaid text and as SVG.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::architecture::{Project, area};

/// Areas and the imports between them.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct LayerMap {
    /// Names, those that nobody imports first.
    pub areas: Vec<String>,
    /// From, to, number of imports, whether it is against the declared direction or part of a circle.
    pub arrows: Vec<(String, String, usize, bool)>,
    /// Rank of each area: 0 is on top.
    #[serde(skip)]
    ranks: BTreeMap<String, usize>,
}

/// Areas that a map shows; more would be no map.
const AREAS_MAX: usize = 60;

/// The map of a project: of its declared layers and contexts, or of its packages.
pub(crate) fn of(project: &Project) -> LayerMap {
    let declared = &project.config.architecture;
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for edge in project.edges() {
        let (from, to) = (name(project, &edge.from.path), name(project, &edge.to));
        names.insert(from.clone());
        names.insert(to.clone());
        if from != to {
            *counts.entry((from, to)).or_default() += 1;
        }
    }
    let names: BTreeSet<String> = names.into_iter().take(AREAS_MAX).collect();
    counts.retain(|(from, to), _| names.contains(from) && names.contains(to));
    let has_layers = !declared.layer.is_empty() || !declared.context.is_empty();
    let wrong = |from: &str, to: &str| {
        if has_layers {
            !declared.allows(from, to)
        } else {
            counts.contains_key(&(to.to_owned(), from.to_owned()))
        }
    };
    let arrows: Vec<_> = counts
        .iter()
        .map(|((from, to), count)| (from.clone(), to.clone(), *count, wrong(from, to)))
        .collect();
    let ranks = rank(&names, &arrows);
    let mut areas: Vec<String> = names.into_iter().collect();
    areas.sort_by_key(|area| (ranks.get(area).copied().unwrap_or(0), area.clone()));
    LayerMap {
        areas,
        arrows,
        ranks,
    }
}

/// Draws the map of a review.
pub fn layer_map(review: &crate::Review) -> &LayerMap {
    &review.map
}

fn name(project: &Project, path: &str) -> String {
    let declared = &project.config.architecture;
    let areas = if declared.layer.is_empty() {
        &declared.context
    } else {
        &declared.layer
    };
    if let Some(name) = area(areas, path) {
        return name.to_owned();
    }
    let package = project
        .packages
        .iter()
        .filter(|(_, folder)| !folder.is_empty() && path.starts_with(&format!("{folder}/")))
        .max_by_key(|(_, folder)| folder.len());
    if let Some((name, _)) = package {
        return name.clone();
    }
    let path = path.strip_prefix("src/").unwrap_or(path);
    let mut parts: Vec<&str> = path.split('/').collect();
    if parts.last().is_some_and(|last| last.ends_with(".go")) {
        parts.pop();
    }
    let depth = if ["internal", "pkg", "cmd"].contains(&parts.first().copied().unwrap_or("")) {
        2
    } else {
        1
    };
    let name = parts.into_iter().take(depth).collect::<Vec<_>>().join("/");
    let name = name.trim_end_matches(".rs");
    if name.is_empty() {
        "root".to_owned()
    } else {
        name.to_owned()
    }
}

/// The longest way from the top; circles end after as many rounds as there are areas.
fn rank(
    names: &BTreeSet<String>,
    arrows: &[(String, String, usize, bool)],
) -> BTreeMap<String, usize> {
    let mut ranks: BTreeMap<String, usize> = names.iter().map(|name| (name.clone(), 0)).collect();
    for _ in 0..names.len().min(12) {
        for (from, to, _, wrong) in arrows {
            let above = ranks.get(from).copied().unwrap_or(0);
            if !wrong && let Some(below) = ranks.get_mut(to) {
                *below = (*below).max(above + 1).min(names.len());
            }
        }
    }
    ranks
}

impl LayerMap {
    /// The map as a Mermaid flowchart; arrows against the direction are dotted and say so.
    pub fn mermaid(&self) -> String {
        let mut text = "flowchart TD\n".to_owned();
        for (index, area) in self.areas.iter().enumerate() {
            let _ = writeln!(text, "    a{index}[\"{}\"]", escape(area));
        }
        for (from, to, count, wrong) in &self.arrows {
            let index =
                |name: &String| self.areas.iter().position(|area| area == name).unwrap_or(0);
            let arrow = if *wrong {
                format!("-. against: {count} .->")
            } else {
                format!("-- {count} -->")
            };
            let _ = writeln!(text, "    a{} {arrow} a{}", index(from), index(to));
        }
        text
    }

    /// The map as an SVG image, readable on light and dark pages.
    pub fn svg(&self) -> String {
        const WIDTH: usize = 190;
        const HEIGHT: usize = 44;
        let mut rows: BTreeMap<usize, Vec<&String>> = BTreeMap::new();
        for area in &self.areas {
            rows.entry(self.ranks.get(area).copied().unwrap_or(0))
                .or_default()
                .push(area);
        }
        let mut places: BTreeMap<&String, (usize, usize)> = BTreeMap::new();
        for (row, areas) in rows.values().enumerate() {
            for (column, area) in areas.iter().enumerate() {
                places.insert(area, (20 + column * (WIDTH + 30), 20 + row * (HEIGHT + 60)));
            }
        }
        let width = rows.values().map(Vec::len).max().unwrap_or(1) * (WIDTH + 30) + 20;
        let height = rows.len().max(1) * (HEIGHT + 60);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\" role=\"img\">\n<title>Layers and imports</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n"
        );
        for (from, to, count, wrong) in &self.arrows {
            let (Some((x1, y1)), Some((x2, y2))) = (places.get(from), places.get(to)) else {
                continue;
            };
            let (leave, reach) = if y1 < y2 {
                (y1 + HEIGHT, *y2)
            } else {
                (*y1, y2 + HEIGHT)
            };
            let style = if *wrong {
                "stroke=\"#c00\" stroke-dasharray=\"5 3\""
            } else {
                "stroke=\"#555\""
            };
            let _ = writeln!(
                svg,
                "<line x1=\"{}\" y1=\"{leave}\" x2=\"{}\" y2=\"{reach}\" {style} marker-end=\"url(#tip)\"><title>{} imports {} ({count})</title></line>",
                x1 + WIDTH / 2,
                x2 + WIDTH / 2,
                escape(from),
                escape(to)
            );
        }
        for (area, (x, y)) in &places {
            let shown: String = area.chars().take(24).collect();
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\" fill=\"#eef3fb\" stroke=\"#345\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                x + WIDTH / 2,
                y + HEIGHT / 2 + 5,
                escape(&shown)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
