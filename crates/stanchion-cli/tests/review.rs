//! `stanchion review` as a stranger runs it: the real binary on a folder.

#![allow(clippy::unwrap_used)] // The helpers of the tests are tests too.

use std::path::Path;
use std::process::{Command, Output};

const CLIENT: &str = "pub fn client() -> reqwest::Client {\n    reqwest::Client::new()\n}\n";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

fn stanchion(root: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stanchion"))
        .arg("review")
        .arg(root)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_clean_folder_exits_with_0_findings_with_1_and_wrong_usage_with_2() {
    let clean = folder(&[(
        "src/lib.rs",
        "pub fn add(a: u8, b: u8) -> u8 {\n    a.saturating_add(b)\n}\n",
    )]);
    let findings = folder(&[("src/lib.rs", CLIENT)]);
    assert_eq!(stanchion(clean.path(), &[]).status.code(), Some(0));
    assert_eq!(stanchion(findings.path(), &[]).status.code(), Some(1));
    assert_eq!(
        stanchion(findings.path(), &["--only", "no-such-rule"])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(
        stanchion(Path::new("/no/such/folder"), &[]).status.code(),
        Some(2)
    );
}

#[test]
fn fail_on_high_lets_lesser_findings_pass() {
    let root = folder(&[(
        "src/lib.rs",
        "pub fn start() {\n    let _pair = tokio::sync::mpsc::unbounded_channel::<u8>();\n}\n",
    )]);
    assert_eq!(
        stanchion(root.path(), &["--fail-on", "high"]).status.code(),
        Some(0)
    );
    assert_eq!(
        stanchion(root.path(), &["--fail-on", "medium"])
            .status
            .code(),
        Some(1)
    );
}

#[test]
fn the_offending_line_and_its_mend_are_shown_without_colours_in_a_pipe() {
    let root = folder(&[("src/lib.rs", CLIENT)]);
    let shown = text(&stanchion(root.path(), &[]));
    assert!(shown.contains("src/lib.rs:2:5"), "{shown}");
    assert!(shown.contains("reqwest::Client::new()"), "{shown}");
    assert!(shown.contains("mend"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn a_baseline_hides_what_is_known_and_shows_what_is_new() {
    let root = folder(&[("src/lib.rs", CLIENT)]);
    let baseline = root.path().join("baseline.json");
    let baseline = baseline.to_str().unwrap();
    assert_eq!(
        stanchion(root.path(), &["--write-baseline", baseline])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(
        stanchion(root.path(), &["--baseline", baseline])
            .status
            .code(),
        Some(0)
    );
    std::fs::write(root.path().join("src/other.rs"), CLIENT).unwrap();
    assert_eq!(
        stanchion(root.path(), &["--baseline", baseline])
            .status
            .code(),
        Some(1)
    );
}

/// What is found in the shop and stays: the rule, the file, how often.
const ACCEPTED: [(&str, &str, usize); 4] = [
    // It takes connections for as long as the process lives: an accept that fails (no file descriptor left) is tried again
    // after a pause, and nobody else waits for it.
    ("retry-without-end", "sandbox/src/cut.rs", 1),
    // Their helpers assert, as methods of a type of another file: `becomes` and `told` fail after a while, `admin` logs in.
    (
        "test-without-assertion",
        "identity/tests/identity/starting.rs",
        1,
    ),
    (
        "test-without-assertion",
        "payments/tests/router/answering.rs",
        2,
    ),
    (
        "test-without-assertion",
        "payments/tests/router/hearing.rs",
        1,
    ),
];

#[test]
fn the_shop_itself_is_reviewed_and_has_no_finding_but_those_that_are_accepted() {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shop");
    let told = text(&stanchion(&shop, &["--format", "json"]));
    let review: serde_json::Value = told.parse().unwrap();
    assert!(review["files"].as_u64().unwrap() > 300, "{review}");
    assert_eq!(review["suppressed"], 0, "no comment hides a finding");
    let mut left = review["findings"].as_array().unwrap().clone();
    for (rule, path, count) in ACCEPTED {
        let before = left.len();
        left.retain(|found| found["rule"] != rule || found["path"] != path);
        let found = before - left.len();
        assert_eq!(found, count, "{rule} in {path} is accepted {count} times");
    }
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn a_suppression_with_a_reason_is_counted_and_one_without_suppresses_nothing() {
    let reason = CLIENT.replace(
        "    reqwest",
        "    // stanchion:allow(client-without-timeout): every call has a deadline\n    reqwest",
    );
    let root = folder(&[("src/lib.rs", &reason)]);
    let clean = stanchion(root.path(), &[]);
    assert_eq!(clean.status.code(), Some(0), "{}", text(&clean));
    assert!(text(&clean).contains("1 suppressed"), "{}", text(&clean));
    let bare = CLIENT.replace(
        "    reqwest",
        "    // stanchion:allow(client-without-timeout)\n    reqwest",
    );
    let root = folder(&[("src/lib.rs", &bare)]);
    assert!(text(&stanchion(root.path(), &[])).contains("suppression-without-reason"));
}

#[test]
fn only_changed_lines_are_shown_against_a_revision() {
    let root = folder(&[("src/lib.rs", CLIENT)]);
    let git = |arguments: &[&str]| {
        let settings = [
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "-c",
            "commit.gpgsign=false",
        ];
        assert!(
            Command::new("git")
                .args(settings)
                .args(arguments)
                .current_dir(root.path())
                .output()
                .unwrap()
                .status
                .success()
        );
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    assert_eq!(
        stanchion(root.path(), &["--diff", "HEAD"]).status.code(),
        Some(0)
    );
    std::fs::write(root.path().join("src/new.rs"), CLIENT).unwrap();
    let shown = stanchion(root.path(), &["--diff", "HEAD"]);
    assert!(text(&shown).contains("src/new.rs:2"), "{}", text(&shown));
    assert!(!text(&shown).contains("src/lib.rs:2"), "{}", text(&shown));
    assert_eq!(
        stanchion(root.path(), &["--diff", "--output=/tmp/x"])
            .status
            .code(),
        Some(2)
    );
}

#[cfg(unix)]
#[test]
fn links_out_of_the_root_are_not_followed() {
    let outside = folder(&[("lib.rs", CLIENT)]);
    let root = folder(&[("src/lib.rs", "pub fn nothing() {}\n")]);
    std::os::unix::fs::symlink(outside.path(), root.path().join("src/away")).unwrap();
    std::os::unix::fs::symlink(
        outside.path().join("lib.rs"),
        root.path().join("src/file.rs"),
    )
    .unwrap();
    let shown = stanchion(root.path(), &[]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown));
    assert!(text(&shown).contains("a link"), "{}", text(&shown));
}

#[test]
fn sarif_names_rule_place_and_level() {
    let root = folder(&[("src/lib.rs", CLIENT)]);
    let log: serde_json::Value =
        serde_json::from_str(&text(&stanchion(root.path(), &["--format", "sarif"]))).unwrap();
    let result = &log["runs"][0]["results"][0];
    assert_eq!(log["version"], "2.1.0");
    assert_eq!(result["ruleId"], "client-without-timeout");
    assert_eq!(result["level"], "error");
    assert_eq!(
        result["locations"][0]["physicalLocation"]["region"]["startLine"],
        2
    );
    assert_eq!(
        log["runs"][0]["tool"]["driver"]["rules"][0]["id"],
        "client-without-timeout"
    );
}

#[test]
fn the_guide_lists_the_rules_as_they_are() {
    let mut explain = Command::new(env!("CARGO_BIN_EXE_stanchion"));
    let made = text(&explain.args(["explain", "--markdown"]).output().unwrap());
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/review-rules.md");
    assert!(
        std::fs::read_to_string(page).unwrap() == made,
        "make it anew: stanchion explain --markdown > docs/guide/review-rules.md"
    );
}
