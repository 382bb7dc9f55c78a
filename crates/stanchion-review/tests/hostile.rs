//! Input that was made to hurt: nesting, long lines, cut files, control characters.

use proptest::prelude::*;
use stanchion_review::{Language, Options, report, review, review_text};

#[test]
fn deep_nesting_neither_ends_the_process_nor_hides_what_comes_before_it() {
    let rust = format!(
        "fn a() {{ let (t, r) = unbounded_channel(); }}\nfn f() {{ {} }}\n",
        "(".repeat(100_000)
    );
    assert!(
        review_text(Language::Rust, &rust)
            .iter()
            .any(|finding| finding.rule == "unbounded-channel")
    );
    let go = format!(
        "package a\nvar x = {}1{}\n",
        "[]int{".repeat(20_000),
        "}".repeat(20_000)
    );
    review_text(Language::Go, &go);
}

#[test]
fn a_line_of_a_megabyte_is_read_and_its_snippet_is_short() {
    let long = format!(
        "fn f() {{ let a = \"{}\"; unbounded_channel(); }}",
        "x".repeat(1 << 20)
    );
    for finding in review_text(Language::Rust, &long) {
        assert!(finding.snippet.chars().count() <= 160);
    }
}

#[test]
fn a_file_that_does_not_parse_is_reviewed_as_far_as_it_goes() {
    let broken = "fn ok() { unbounded_channel(); }\nfn broken( { ]]] let = ;\n";
    assert!(
        review_text(Language::Rust, broken)
            .iter()
            .any(|finding| finding.rule == "unbounded-channel")
    );
}

#[test]
fn a_snippet_cannot_steer_a_terminal() {
    let text = "fn f() { unbounded_channel(); } // \u{1b}]0;title\u{7} \u{202e}\n";
    let findings = review_text(Language::Rust, text);
    assert!(!findings.is_empty());
    assert!(
        findings
            .iter()
            .all(|finding| !finding.snippet.contains(['\u{1b}', '\u{7}', '\u{202e}']))
    );
}

/// Each looks for the line that it is for: a file of nothing else must not make that a square.
#[test]
fn a_file_of_suppressions_alone_is_read_at_once() {
    let text = "//stanchion:allow(unbounded-channel): nobody needs this\n".repeat(18_000);
    let findings = review_text(Language::Rust, &text);
    assert!(
        findings
            .iter()
            .any(|finding| finding.rule == "suppression-unused")
    );
}

#[test]
fn a_manifest_of_any_size_is_not_read_whole() {
    let place = tempfile::tempdir().unwrap();
    let huge = std::fs::File::create(place.path().join("Cargo.toml")).unwrap();
    // A hole of a terabyte: whoever reads it whole does not come back.
    huge.set_len(1 << 40).unwrap();
    std::fs::write(
        place.path().join("a.rs"),
        "fn f() { unbounded_channel(); }\n",
    )
    .unwrap();
    let done = review(place.path(), &Options::default()).unwrap();
    assert_eq!(done.files, 1);
}

#[test]
fn a_files_name_cannot_steer_a_terminal_either() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a\u{1b}]0;title\u{7}.rs");
    std::fs::write(file, "fn f() { unbounded_channel(); }\n").unwrap();
    let done = review(place.path(), &Options::default()).unwrap();
    let shown = report::human(&done, report::Human::default());
    assert!(
        shown.contains("title") && shown.contains("unbounded_channel"),
        "{shown}"
    );
    assert!(!shown.contains(['\u{1b}', '\u{7}']));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_text_ends_the_review(text in "\\PC{0,300}", pick in 0..5_usize) {
        let languages = [Language::Rust, Language::Go, Language::Docker, Language::Kubernetes, Language::Compose];
        review_text(languages[pick], &text);
    }

    #[test]
    fn no_cut_of_an_example_ends_the_review(rule in 0..80_usize, from in 0..400_usize, to in 0..400_usize) {
        for example in stanchion_review::all_rules()[rule].examples {
            let cut: String = example.bad.chars().skip(from.min(to) / 4).take(to.max(from)).collect();
            review_text(example.language, &cut);
        }
    }
}
