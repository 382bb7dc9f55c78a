//! What `new` and `add` refuse, and what they leave alone: a new user's mistakes end before anything is made.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    here.canonicalize().unwrap()
}

/// The exit code, and everything that was said.
fn stanchion(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stanchion"));
    let output = command
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[track_caller]
fn done(folder: &Path, arguments: &[&str]) -> String {
    let (code, said) = stanchion(folder, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
    said
}

/// `parcels`, in a folder that goes away.
fn parcels() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = repository().display().to_string();
    done(place.path(), &["new", "parcels", "--stanchion-path", &path]);
    let service = place.path().join("parcels");
    (place, service)
}

/// Every file below a folder, with its text.
fn all(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                files.insert(path, text);
            }
        }
    }
    files
}

#[test]
fn what_would_not_compile_is_refused_before_anything_is_made() {
    let (_place, service) = parcels();
    let before = all(&service);
    for (arguments, wanted) in [
        (
            &["use-case", "get"][..],
            "`get` is a name in src/parcels/adapters/http.rs already",
        ),
        (
            &["use-case", "find"],
            "`find` is a name in src/parcels/application/read.rs already",
        ),
        (&["use-case", "op"], "`op` is a name in"),
        (&["use-case", "open"], "already"),
        (
            &["use-case", "shut", "--event", "Closed"],
            "`Closed` happens for another reason already",
        ),
        (
            &["use-case", "shut", "--event", "shut it"],
            "`shut it` is no name of an event",
        ),
        (&["use-case", "match"], "`match` is taken"),
        (
            &["use-case", "peel", "--of", "label"],
            "`parcels` has no `label`; it has parcel",
        ),
        (
            &["consumer", "billing", "--contract", "orders..v1"],
            "is no contract",
        ),
        (
            &["consumer", "billing", "--contract", "orders.9x.v1"],
            "is no contract",
        ),
        (
            &["consumer", "billing", "--contract", "orders.placed.v+1"],
            "is no contract",
        ),
        (
            &["consumer", "billing", "--contract", "orders.contract.v1"],
            "has already",
        ),
        (&["projection", "filter"], "has already"),
        (
            &["context", "returns", "--thing", "metadata"],
            "`Metadata` is taken",
        ),
        (&["aggregate", "option"], "`Option` is taken"),
        (&["aggregate", "parcel"], "`parcels` has a `parcel` already"),
        (
            &["context", "returns", "--thing", "parcel"],
            "`POST /parcels` is routed in src/parcels/adapters/http.rs already",
        ),
        (
            &["aggregate", "label", "--context", "../parcels"],
            "is outside of",
        ),
    ] {
        let (code, said) = stanchion(&service, &[&["add"], arguments].concat());
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
    assert_eq!(all(&service), before);
}

#[test]
fn only_the_files_that_are_told_of_are_touched() {
    let (_place, service) = parcels();
    let (own, edited) = ("src/health.rs", "src/parcels/application.rs");
    let ugly = |file: &str| {
        let text = std::fs::read_to_string(service.join(file)).unwrap();
        let ugly = text + "\npub(crate)   fn  ugly( ) { }\n";
        std::fs::write(service.join(file), &ugly).unwrap();
        ugly
    };
    let (own_text, edited_text) = (ugly(own), ugly(edited));
    let told = done(&service, &["add", "use-case", "archive"]);
    assert!(
        told.contains("new   src/parcels/application/archive.rs"),
        "{told}"
    );
    let now = all(&service);
    assert_eq!(now[&service.join(own)], own_text);
    // Lines are added to what its author did not format, and nothing else is.
    let with_lines = edited_text.replace("// </use-cases>", "mod archive;\n// </use-cases>");
    assert_eq!(now[&service.join(edited)], with_lines);
}

#[test]
fn an_aggregate_joins_the_context_that_is_there_and_grows_by_itself() {
    let (_place, service) = parcels();
    done(&service, &["add", "projection", "parcel-list"]);
    done(&service, &["add", "aggregate", "label"]);
    done(&service, &["add", "use-case", "peel", "--of", "label"]);
    done(
        &service,
        &["add", "projection", "label-list", "--of", "label"],
    );
    done(&service, &["add", "use-case", "seal"]);
    let files = all(&service);
    let text = |file: &str| {
        files
            .get(&service.join(file))
            .unwrap_or_else(|| panic!("{file}"))
    };
    for (file, wanted) in [
        (
            "src/parcels/adapters/labels/http.rs",
            ".id(\"labels_open\")",
        ),
        (
            "src/parcels/adapters/labels/http.rs",
            ".id(\"labels_peel\")",
        ),
        ("src/parcels/domain.rs", "pub(crate) mod label;"),
        ("src/parcels/domain/label.rs", "Peeled {"),
        (
            "src/parcels/application/labels/peel.rs",
            "LabelCommand::Peel",
        ),
        ("src/parcels/application/labels.rs", "mod peel;"),
        (
            "src/parcels/adapters/labels/http.rs",
            "\"/labels/{id}/peel\"",
        ),
        (
            "src/parcels/adapters/labels/grpc.rs",
            "include_proto!(\"labels.v1\")",
        ),
        (
            "src/parcels/adapters/announce.rs",
            "\"label\" => Ok(vec![])",
        ),
        (
            "src/parcels/adapters/label_list.rs",
            "LabelEvent::Peeled { .. } => return Ok(())",
        ),
        (
            "src/parcels/adapters/parcel_list.rs",
            "ParcelEvent::Sealed { .. } => return Ok(())",
        ),
        (
            "src/parcels.rs",
            ".routes(adapters::labels::http::routes(labels.clone()))",
        ),
        ("proto/labels/v1/labels.proto", "package labels.v1;"),
        ("tests/labels.rs", "/labels"),
        ("build.rs", "\"labels\","),
    ] {
        assert!(text(file).contains(wanted), "{file}:\n{}", text(file));
    }
    // Each projection knows the events of its own thing.
    assert!(!text("src/parcels/adapters/parcel_list.rs").contains("Peeled"));
    assert!(!text("src/parcels/adapters/label_list.rs").contains("Sealed"));
    let left = files
        .iter()
        .find(|(_, text)| text.contains("__thing") || text.contains("__Thing"));
    assert_eq!(left, None);
    done(&service, &["review"]);
}

/// What `--help` shows is what somebody pastes.
#[test]
fn the_examples_of_the_help_work_one_after_the_other() {
    let (_place, service) = parcels();
    let help = done(&service, &["add", "--help"]);
    let examples = help.lines().filter_map(|line| {
        let words = line.trim().strip_prefix("stanchion ")?;
        Some(words.split(' ').collect::<Vec<_>>())
    });
    let examples: Vec<_> = examples.collect();
    assert!(examples.len() >= 7, "{help}");
    for example in examples {
        done(&service, &example);
    }
}

/// `stanchion.toml` declares what AGENTS.md says of the arrows, and `add context` declares the new one.
#[test]
fn an_arrow_against_the_architecture_fails_the_review_of_a_new_service() {
    let (_place, service) = parcels();
    done(&service, &["add", "context", "refunds", "--style", "state"]);
    done(&service, &["review"]);
    for (file, import) in [
        (
            "src/parcels/domain.rs",
            "use crate::parcels::adapters::http;",
        ),
        (
            "src/parcels/application.rs",
            "use crate::parcels::adapters::http;",
        ),
        (
            "src/refunds/adapters.rs",
            "use crate::parcels::domain::parcel;",
        ),
        ("src/parcels.rs", "use crate::refunds::migrations;"),
    ] {
        let own = std::fs::read_to_string(service.join(file)).unwrap();
        std::fs::write(service.join(file), format!("{own}\n{import}\n")).unwrap();
        let (code, said) = stanchion(&service, &["review", "--fail-on", "high"]);
        let told = said.contains("architecture-drift") && said.contains(file);
        assert!(code == Some(1) && told, "{file}: {said}");
        std::fs::write(service.join(file), own).unwrap();
    }
}

/// A service with two operations of one name ends at its start: the document that it shows has each id once.
#[test]
fn operations_of_one_name_are_refused_also_across_aggregates_and_contexts() {
    let (_place, service) = parcels();
    done(&service, &["add", "aggregate", "label"]);
    let before = all(&service);
    for (arguments, id) in [
        (&["use-case", "labels-close"][..], "parcels_labels_close"),
        (&["context", "parcels-labels"], "parcels_labels_open"),
    ] {
        let (code, said) = stanchion(&service, &[&["add"], arguments].concat());
        let wanted = format!("an operation is called `{id}` in src/parcels");
        assert!(code == Some(2) && said.contains(&wanted), "{said}");
    }
    assert_eq!(all(&service), before);
}

#[test]
fn a_dependency_that_cargo_could_not_read_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let url = "--stanchion-git=https://git.example/stanchion";
    for (arguments, wanted) in [
        (
            &["--stanchion-version", "1\", evil = \""][..],
            "is no version",
        ),
        (&["--stanchion-version", ""], "is no version"),
        (&["--stanchion-git", "x\"\nevil"], "is no URL"),
        (&[url, "--stanchion-tag", "v1\nx"], "is no tag"),
        (&["--stanchion-tag", "v1"], "--stanchion-git"),
        (&["--stanchion-path", "."], "is no checkout of stanchion"),
    ] {
        let given = [&["new", "parcels"], arguments].concat();
        let (code, said) = stanchion(place.path(), &given);
        assert!(
            code == Some(2) && said.contains(wanted),
            "{given:?}: {said}"
        );
    }
    assert!(!place.path().join("parcels").exists());
}

/// Whoever builds this program in a checkout and says nothing gets a service that builds: no version of it is in a registry yet.
#[test]
fn a_service_depends_on_what_it_is_told_or_on_what_this_program_was_built_from() {
    let facade = repository().join("crates/stanchion");
    let facade = facade.display();
    let url = "--stanchion-git=https://git.example/stanchion";
    for (arguments, dependency, told) in [
        (
            &[][..],
            format!("path = \"{facade}\""),
            "which an image and CI do not have",
        ),
        (
            &["--stanchion-version", "0.7"],
            "version = \"0.7\"".into(),
            "stanchion 0.7 from the registry",
        ),
        (
            &[url, "--stanchion-tag", "v0.7"],
            "git = \"https://git.example/stanchion\", tag = \"v0.7\"".into(),
            "from https://git.example/stanchion at v0.7",
        ),
    ] {
        let place = tempfile::tempdir().unwrap();
        let said = done(place.path(), &[&["new", "parcels"], arguments].concat());
        assert!(said.contains(told), "{said}");
        let manifest = std::fs::read_to_string(place.path().join("parcels/Cargo.toml")).unwrap();
        let line = format!("stanchion = {{ {dependency}, features = [\"nats\"] }}");
        assert!(manifest.lines().any(|other| other == line), "{manifest}");
    }
}

/// An agent that is defined by this file can call every tool that there is.
#[test]
fn the_agents_definition_names_every_tool() {
    let definition = std::fs::read_to_string(repository().join("agents/backend-architect.md"));
    let definition = definition.unwrap();
    let tools = definition.lines().find(|line| line.starts_with("tools:"));
    for tool in [
        "review", "explain", "decide", "adr", "adr_new", "scaffold", "add", "doctor",
    ] {
        let name = format!("mcp__stanchion__{tool}");
        let named = tools.unwrap().split([',', ' ']).any(|word| word == name);
        assert!(named, "{name} is missing");
    }
}
