//! Every metric that a page, an alert or a dashboard names is one that the sources have: a rule about a metric that was renamed
//! never fires, and nobody is told.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Result, ensure};

use crate::{shell, workspace};

/// What our metrics begin with. Other names that begin so are of crates, settings and SQL functions, which the sources have as well.
const PREFIXES: [&str; 8] = [
    "stanchion_",
    "http_",
    "grpc_",
    "policy_",
    "cache_",
    "redis_",
    "identity_",
    "shop_",
];

/// What Prometheus adds to the name that a metric is made with.
const ADDED: [&str; 4] = ["_total", "_bucket", "_sum", "_count"];

/// It tells of names that are gone.
const HISTORY: &str = "CHANGELOG.md";

pub(super) fn check() -> Result<String> {
    let mut known = BTreeSet::new();
    for (_, text) in files(&["crates/*/src/*.rs", "shop/*/src/*.rs", "crates/*/src/*.sql"])? {
        known.extend(of_source(&text));
    }
    let mut named = Vec::new();
    for (file, text) in files(&["*.md"])? {
        if file != HISTORY {
            named.push((file, words(&in_code(&text))));
        }
    }
    for (file, text) in files(&["*/monitoring/*"])? {
        named.push((file, words(&text)));
    }
    let unknown = named.iter().flat_map(|(file, words)| {
        let unknown = words.iter().filter(|word| !is_known(word, &known));
        unknown.map(move |word| format!("{file}: no source has {word}"))
    });
    let unknown: Vec<String> = unknown.collect();
    ensure!(unknown.is_empty(), "{}", unknown.join("\n"));
    let names: BTreeSet<&String> = named.iter().flat_map(|(_, words)| words).collect();
    Ok(format!("{} names", names.len()))
}

/// Files that git knows, and new ones that it does not ignore.
fn files(patterns: &[&str]) -> Result<Vec<(String, String)>> {
    let root = workspace::root();
    let mut list = Command::new("git");
    list.current_dir(&root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let listed = shell::quiet(list.args(patterns))?;
    let read = |file: &str| Some((file.to_owned(), fs::read_to_string(root.join(file)).ok()?));
    Ok(listed.lines().filter_map(read).collect())
}

fn of_source(text: &str) -> BTreeSet<String> {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(words).collect()
}

/// Names that begin as metrics do; one that ends in a line stands for several.
fn words(text: &str) -> BTreeSet<String> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c: char| !is_of_name(c)).filter(|word| {
        PREFIXES.iter().any(|prefix| word.starts_with(prefix)) && !word.ends_with('_')
    });
    words.map(str::to_owned).collect()
}

/// What stands between backticks.
fn in_code(markdown: &str) -> String {
    let lines = markdown.lines();
    let code = lines.flat_map(|line| line.split('`').skip(1).step_by(2));
    code.collect::<Vec<_>>().join("\n")
}

fn is_known(word: &str, known: &BTreeSet<String>) -> bool {
    let mut made_with = ADDED.iter().filter_map(|added| word.strip_suffix(added));
    known.contains(word) || made_with.any(|name| known.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "/// Counts `stanchion_told`.\nmetrics.counter(\"stanchion_mails\", \"\");\nmetrics.histogram(\"http_request_seconds\")";

    fn unknown(text: &str) -> Vec<String> {
        let known = of_source(SOURCE);
        let words = words(text).into_iter();
        words.filter(|word| !is_known(word, &known)).collect()
    }

    #[test]
    fn a_name_that_no_source_has_is_found_and_what_prometheus_adds_is_borne() {
        let rule =
            "rate(stanchion_mails_total{outcome=\"lost\"}[5m]) > 0 or http_request_seconds_bucket";
        assert_eq!(unknown(rule), Vec::<String>::new());
        assert_eq!(unknown("stanchion_males_total"), ["stanchion_males_total"]);
        assert_eq!(
            unknown("stanchion_told"),
            ["stanchion_told"],
            "of a comment"
        );
    }

    #[test]
    fn of_a_page_what_is_in_code_counts_and_a_beginning_stands_for_several() {
        let page = "stanchion_prose `stanchion_code{a,b}` `grpc_…`\n`stanchion_`";
        assert_eq!(
            words(&in_code(page)).into_iter().collect::<Vec<_>>(),
            ["stanchion_code"]
        );
    }
}
