//! `adr` and `decide` as a user meets them: the binary.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn stanchion(root: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stanchion"));
    let Output {
        status,
        stdout,
        stderr,
    } = command.args(arguments).current_dir(root).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn the_decisions_of_this_project_have_nothing_wrong() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (code, out, _) = stanchion(&root, &["adr", "check"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("records, nothing wrong"), "{out}");
}

#[test]
fn a_record_is_written_superseded_on_both_sides_and_listed() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    fs::create_dir_all(root.join("docs/adr")).unwrap();
    fs::write(
        root.join("docs/adr/README.md"),
        "| # | decision |\n|---|---|\n| [0000](README.md) | this |\n",
    )
    .unwrap();
    let (code, out, err) = stanchion(
        root,
        &[
            "adr",
            "new",
            "Orders keep events",
            "--status",
            "accepted",
            "--date",
            "2026-11-22",
        ],
    );
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "docs/adr/0001-orders-keep-events.md\n"),
        "{err}"
    );
    let (code, _, err) = stanchion(
        root,
        &[
            "adr",
            "supersede",
            "1",
            "Orders keep rows",
            "--status",
            "accepted",
        ],
    );
    assert_eq!(code, Some(0), "{err}");
    let old = fs::read_to_string(root.join("docs/adr/0001-orders-keep-events.md")).unwrap();
    assert!(
        old.contains("Status: superseded by [0002](0002-orders-keep-rows.md)"),
        "{old}"
    );
    let index = fs::read_to_string(root.join("docs/adr/README.md")).unwrap();
    assert!(
        index.contains("| [0002](0002-orders-keep-rows.md) | Orders keep rows |"),
        "{index}"
    );
    let (code, out, _) = stanchion(root, &["adr", "check"]);
    assert_eq!(code, Some(0), "{out}");
    let (_, out, _) = stanchion(root, &["adr", "list"]);
    assert!(
        out.contains("0001  2026-11-22  Orders keep events  (superseded by 0002)"),
        "{out}"
    );
    let (code, _, err) = stanchion(root, &["adr", "supersede", "1", "Once more"]);
    assert_eq!(
        (code, err.as_str()),
        (Some(2), "stanchion: 0001 is superseded already\n")
    );
}

#[test]
fn a_misspelt_folder_is_no_folder_without_faults_and_a_long_word_is_cut() {
    let place = tempfile::tempdir().unwrap();
    for action in ["check", "list", "graph"] {
        let (code, _, err) = stanchion(place.path(), &["adr", action, "--folder", "docs/ard"]);
        assert!(
            code == Some(2) && err.contains("there is no folder docs/ard"),
            "{err}"
        );
    }
    let title = "ö".repeat(80);
    let (code, out, err) = stanchion(place.path(), &["adr", "new", &title]);
    assert_eq!(
        (code, out.trim()),
        (Some(0), &*format!("docs/adr/0001-{}.md", "ö".repeat(30))),
        "{err}"
    );
}

#[test]
fn superseding_touches_no_sentence_of_what_was_decided_and_nothing_at_all_when_it_cannot() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("docs/adr");
    fs::create_dir_all(&folder).unwrap();
    let short = "# 0001 Use X\n\n**Open.** What an order answers.\n\nStatus: 202 while it is worked on, 200 then.\n\n**Chosen.** c\n\n**Costs.** k\n";
    fs::write(folder.join("0001-x.md"), short).unwrap();
    fs::write(folder.join("0002-y.md"), "No title.\n").unwrap();
    let (code, _, err) = stanchion(place.path(), &["adr", "supersede", "1", "Use Z"]);
    assert_eq!(code, Some(0), "{err}");
    let old = fs::read_to_string(folder.join("0001-x.md")).unwrap();
    let status = "# 0001 Use X\n\nStatus: superseded by [0003](0003-use-z.md)\n";
    assert_eq!(old, short.replace("# 0001 Use X\n", status));
    let (code, _, err) = stanchion(place.path(), &["adr", "supersede", "2", "Use W"]);
    assert!(code == Some(2) && err.contains("it has no title"), "{err}");
    let names = fs::read_dir(&folder).unwrap();
    assert_eq!(names.count(), 3, "a successor was written");
}

#[test]
fn check_finds_broken_links_gone_code_and_one_superseded_twice() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    let record = |number: u32, head: &str, body: &str| {
        let text = format!(
            "# {number:04} X\n\n{head}\n\n## Context\nc\n## Decision\nd {body}\n## Consequences\nk\n"
        );
        fs::create_dir_all(root.join("docs/adr")).unwrap();
        fs::write(root.join(format!("docs/adr/{number:04}-x.md")), text).unwrap();
    };
    fs::create_dir_all(root.join("src")).unwrap();
    fs::write(root.join("src/here.rs"), "struct Here;").unwrap();
    record(1, "Status: superseded by [0002](0002-x.md)", "");
    record(
        2,
        "Status: accepted\nSupersedes: [0001](0001-x.md)\nCode: src/here.rs#Gone",
        "[a](nowhere.md) `src/gone.rs` `src/here.rs`",
    );
    record(
        3,
        "Status: accepted\nDate: tomorrow\nSupersedes: [0001](0001-x.md)",
        "",
    );
    record(4, "Status: maybe", "[up](../../../etc/passwd)");
    let (code, out, _) = stanchion(root, &["adr", "check"]);
    assert_eq!(code, Some(1));
    for wrong in [
        "0001-x.md:1 is superseded 2 times: by 0002 and 0003; only one can take its place",
        "0002-x.md:5 the code it refers to is gone: src/here.rs has no `Gone`",
        "0002-x.md:10 broken link: there is no nowhere.md",
        "0002-x.md:10 the code it refers to is gone: src/gone.rs",
        "0003-x.md:1 the date `tomorrow` is no day",
        "0004-x.md:1 the status `maybe` is not one of",
        "0004-x.md:8 broken link: there is no ../../../etc/passwd",
    ] {
        assert!(out.contains(wrong), "no `{wrong}` in\n{out}");
    }
    assert!(!out.contains("here.rs\n"), "{out}");
}

#[test]
fn a_decision_is_told_as_json_and_written_as_a_record_that_check_accepts() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    let (code, out, err) = stanchion(
        root,
        &[
            "decide",
            "--money",
            "yes",
            "--team-size",
            "9",
            "--json",
            "--adr",
            "How the ledger is built",
        ],
    );
    assert_eq!(code, Some(0), "{err}");
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["answers"][1]["choose"], "event_sourced");
    assert_eq!(told["answers"][1]["rule"], "money-moves");
    let record = fs::read_to_string(root.join("docs/adr/0001-how-the-ledger-is-built.md")).unwrap();
    for part in [
        "## Context",
        "## Decision",
        "### Positive",
        "### Negative",
        "## Alternatives considered",
        "Khononov",
    ] {
        assert!(record.contains(part), "no `{part}` in\n{record}");
    }
    assert_eq!(stanchion(root, &["adr", "check"]).0, Some(0));
}

#[test]
fn wrong_usage_ends_with_2_and_help_has_examples() {
    let place = tempfile::tempdir().unwrap();
    for wrong in [
        &["decide", "--audit", "some"][..],
        &["decide", "--teams", "0"],
        &["adr", "show", "7"],
        &["nothing"],
        &["adr", "--root", "nowhere", "list"],
    ] {
        assert_eq!(stanchion(place.path(), wrong).0, Some(2), "{wrong:?}");
    }
    for command in [
        "adr",
        "decide",
        "new",
        "add",
        "upgrade",
        "doctor",
        "mcp",
        "completions",
        "man",
    ] {
        let (code, out, _) = stanchion(place.path(), &[command, "--help"]);
        assert!(
            code == Some(0) && out.contains("Example"),
            "{command}: {out}"
        );
    }
    let (code, out, _) = stanchion(place.path(), &["completions", "bash"]);
    assert!(code == Some(0) && out.contains("_stanchion"));
    let (code, out, _) = stanchion(place.path(), &["man"]);
    assert!(code == Some(0) && out.contains(".TH stanchion 1"), "{out}");
}
