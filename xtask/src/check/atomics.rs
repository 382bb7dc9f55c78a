//! Lists that code outgrows unseen: every atomic has its row in docs/concurrency.md, every test that may be tried again
//! is there.

use std::{fs, path::Path, process::Command};

use anyhow::{Result, ensure};

use crate::{shell, workspace};

const PAGE: &str = "docs/concurrency.md";
const RETRIES: &str = ".config/nextest.toml";
/// What serves tests alone: nobody else decides by it.
const OF_TESTS: [&str; 4] = [
    "crates/stanchion-testing/",
    "shop/rolling/",
    "/tests/",
    "/tests.rs",
];
const KINDS: [&str; 7] = ["Bool", "U8", "U32", "U64", "Usize", "I64", "Ptr"];

pub(super) fn check() -> Result<String> {
    let root = workspace::root();
    let listed = shell::quiet(Command::new("git").current_dir(&root).args([
        "ls-files",
        "crates/*.rs",
        "shop/*.rs",
    ]))?;
    let files: Vec<(&str, String)> = listed
        .lines()
        .filter_map(|file| Some((file, fs::read_to_string(root.join(file)).ok()?)))
        .collect();
    let page = fs::read_to_string(root.join(PAGE))?;
    let retries = fs::read_to_string(root.join(RETRIES))?;
    let mut wrong = unlisted(&files, &page);
    wrong.extend(gone(&files, &retries));
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let atomics = files.iter().filter(|(_, text)| has_atomics(text)).count();
    Ok(format!("{atomics} files with atomics"))
}

/// Files with atomics that the page does not link to.
fn unlisted(files: &[(&str, String)], page: &str) -> Vec<String> {
    let of_tests = |file: &str| OF_TESTS.iter().any(|part| file.contains(part));
    let own = files.iter().filter(|(file, text)| {
        Path::new(file)
            .components()
            .any(|part| part.as_os_str() == "src")
            && !of_tests(file)
            && has_atomics(text)
            && !page.contains(&format!("](../{file})"))
    });
    own.map(|(file, _)| format!("{file} has an atomic that {PAGE} does not name"))
        .collect()
}

/// Behind its file's test module an atomic counts for nobody.
fn has_atomics(text: &str) -> bool {
    let own = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let named = own
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let mut named = named.flat_map(|line| line.split("Atomic").skip(1));
    named.any(|rest| KINDS.iter().any(|kind| rest.starts_with(kind)))
}

/// Tests that may be tried again and are not there: renamed, they are not tried again, or another one is.
fn gone(files: &[(&str, String)], retries: &str) -> Vec<String> {
    let names = retries.split("test(=").skip(1);
    let names = names.filter_map(|rest| rest.split(')').next());
    let is_there = |name: &&str| {
        let function = name.rsplit("::").next().unwrap_or(name);
        let function = format!("fn {function}(");
        files.iter().any(|(_, text)| text.contains(&function))
    };
    names
        .filter(|name| !is_there(name))
        .map(|name| format!("{RETRIES} names {name}, and there is no such test"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_atomic_without_a_row_is_found_and_one_of_tests_is_none() {
        let flag = "use std::sync::atomic::AtomicBool;\n".to_owned();
        let files = [
            ("crates/a/src/known.rs", flag.clone()),
            ("crates/a/src/new.rs", flag.clone()),
            ("crates/a/src/new/tests.rs", flag.clone()),
            ("crates/a/tests/new.rs", flag.clone()),
            ("crates/a/src/told.rs", "/// An AtomicBool.\n".to_owned()),
            (
                "crates/a/src/tested.rs",
                format!("#[cfg(test)]\nmod tests {{\n{flag}}}"),
            ),
        ];
        let wrong = unlisted(&files, "[known.rs](../crates/a/src/known.rs)");
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].starts_with("crates/a/src/new.rs"));
    }

    #[test]
    fn a_test_that_is_gone_is_found() {
        let files = [("a.rs", "async fn it_stays() {}".to_owned())];
        let wrong = gone(&files, "test(=of::it_stays) | test(=it_went)");
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].contains("it_went"));
    }
}
