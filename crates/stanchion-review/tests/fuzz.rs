//! The fuzz target: every rule's examples and this crate's own sources, broken in many ways, read as a stranger's file.
//!
//! A few hundred cases run with the tests; more by `STANCHION_FUZZ_CASES=100000 cargo nextest run -p stanchion-review
//! --release every_broken`. A failure tells its seed and its case; `STANCHION_FUZZ_SEED` runs them again.
#![allow(clippy::unwrap_used)]

use std::panic::catch_unwind;

use stanchion_review::{Finding, Language, all_rules, review_text};

/// What trips parsers and rules: openings without ends, half of a letter's escapes, marks that the review itself reads.
const HOSTILE: [&str; 26] = [
    "{",
    "}",
    "((((((((",
    "))))",
    "[",
    "\"",
    "'",
    "`",
    "r#\"",
    "/*",
    "*/",
    "//",
    "\\",
    "\u{0}",
    "\u{202e}",
    "\r",
    "\t\t\t\t",
    "ß𝄞é",
    "stanchion:allow(",
    "//- ",
    "..=",
    "'a",
    "\"\"\"",
    "---\n",
    "- - - ",
    "#![cfg(test)]",
];
/// Changes of one case.
const CHANGES_MAX: usize = 6;
/// Bytes of one case: more costs time and finds nothing else.
const BYTES_MAX: usize = 20_000;

/// Steele and Vigna's splitmix64: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }
}

fn from_env(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.map_or(default, |text| text.parse().unwrap())
}

#[test]
fn every_broken_text_is_reviewed_to_its_end_and_twice_alike() {
    let (seed, cases) = (
        from_env("STANCHION_FUZZ_SEED", 1),
        from_env("STANCHION_FUZZ_CASES", 400),
    );
    let corpus = corpus();
    for case in 0..cases {
        let mut chance = Chance(seed.wrapping_mul(0x1_0000_0001).wrapping_add(case));
        let (language, text) = broken(&corpus, &mut chance);
        let judged = catch_unwind(|| judge(language, &text));
        if let Err(panic) = judged {
            let file = std::env::temp_dir().join(format!("review-fuzz-{seed}-{case}.txt"));
            std::fs::write(&file, &text).unwrap();
            let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            let file = file.display();
            panic!(
                "seed {seed}, case {case} ({}): {said}\n{file}",
                language.as_str()
            );
        }
    }
}

fn judge(language: Language, text: &str) {
    let findings = review_text(language, text);
    let lines = u32::try_from(text.lines().count()).unwrap() + 1;
    for finding in &findings {
        assert!(finding.line >= 1 && finding.line <= lines, "{finding:?}");
        assert!(finding.column >= 1, "{finding:?}");
        let printable = |letter: char| !letter.is_control() && letter != '\u{202e}';
        assert!(finding.snippet.chars().all(printable), "{finding:?}");
        assert!(finding.snippet.chars().count() <= 160, "{finding:?}");
    }
    let worse = |pair: &[Finding]| pair[0].severity >= pair[1].severity;
    assert!(findings.windows(2).all(worse), "not the worst first");
    assert_eq!(
        findings,
        review_text(language, text),
        "a second look differs"
    );
}

fn corpus() -> Vec<(Language, String)> {
    let mut all: Vec<(Language, String)> = Vec::new();
    for example in all_rules().iter().flat_map(|rule| rule.examples) {
        all.push((example.language, example.bad.to_owned()));
        all.push((example.language, example.good.to_owned()));
    }
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    for entry in std::fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            all.push((Language::Rust, std::fs::read_to_string(path).unwrap()));
        }
    }
    all
}

fn broken(corpus: &[(Language, String)], chance: &mut Chance) -> (Language, String) {
    let (language, text) = &corpus[chance.below(corpus.len())];
    let mut letters: Vec<char> = text.chars().take(BYTES_MAX / 4).collect();
    for _ in 0..=chance.below(CHANGES_MAX) {
        change(&mut letters, corpus, chance);
        letters.truncate(BYTES_MAX / 4);
    }
    // Now and then it is taken for another language.
    let languages = [
        Language::Rust,
        Language::Go,
        Language::Docker,
        Language::Kubernetes,
        Language::Compose,
    ];
    let language = if chance.below(10) == 0 {
        languages[chance.below(languages.len())]
    } else {
        *language
    };
    (language, letters.into_iter().collect())
}

fn change(letters: &mut Vec<char>, corpus: &[(Language, String)], chance: &mut Chance) {
    let at = chance.below(letters.len() + 1);
    let to = (at + chance.below(60)).min(letters.len());
    match chance.below(5) {
        0 => drop(letters.drain(at..to)),
        1 => {
            let part: Vec<char> = letters[at..to].to_vec();
            let times = 1 + chance.below(40);
            let many = part.iter().copied().cycle().take(part.len() * times);
            letters.splice(at..at, many.collect::<Vec<_>>());
        }
        2 => {
            let word = HOSTILE[chance.below(HOSTILE.len())];
            letters.splice(at..at, word.chars());
        }
        3 => {
            let (_, other) = &corpus[chance.below(corpus.len())];
            let from = chance.below(other.chars().count());
            let part: Vec<char> = other.chars().skip(from).take(chance.below(200)).collect();
            letters.splice(at..to, part);
        }
        _ => letters.truncate(at),
    }
}
