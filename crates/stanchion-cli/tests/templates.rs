//! What `new` and `add` make is built and tested here, with this repository's stanchion and its lock file.
//!
//! The services share the target folder of the workspace, whose crates are compiled already.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "templates/doctored.rs"]
mod doctored;

use doctored::{Certificate, Patient, examined};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn stanchion(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stanchion"));
    let output = command
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    said(&output)
}

fn said(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}{err}");
    out.into_owned()
}

/// A new service in a folder that goes away, locked to the versions of this repository.
fn new(place: &Path, name: &str, style: &str) -> PathBuf {
    let path = repository().display().to_string();
    stanchion(
        place,
        &["new", name, "--style", style, "--stanchion-path", &path],
    );
    std::fs::copy(
        repository().join("Cargo.lock"),
        place.join(name).join("Cargo.lock"),
    )
    .unwrap();
    place.join(name)
}

fn target() -> PathBuf {
    let set = std::env::var_os("CARGO_TARGET_DIR");
    set.map_or_else(|| repository().join("target"), PathBuf::from)
}

fn cargo_test(service: &Path) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["test", "--offline", "--quiet"])
        .arg("--target-dir")
        .arg(target())
        .current_dir(service);
    // Each of these folders is built once: what is kept for a second time only fills the disk.
    cargo.env("CARGO_INCREMENTAL", "0");
    // Warnings are somebody's findings on the first day; they are looked for below.
    let output = cargo.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    said(&output);
    assert!(
        !err.contains("warning: unused") && !err.contains("is never"),
        "{err}"
    );
}

#[test]
#[ignore = "builds a service; `cargo xtask test` runs it by itself, after the others"]
fn an_event_sourced_service_builds_grows_and_passes_its_tests_and_its_doctor() {
    let place = tempfile::tempdir().unwrap();
    let service = new(place.path(), "parcels", "event-sourced");
    stanchion(&service, &["add", "use-case", "archive"]);
    stanchion(&service, &["add", "projection", "parcel-list"]);
    stanchion(&service, &["add", "use-case", "seal"]);
    stanchion(
        &service,
        &[
            "add",
            "consumer",
            "billing",
            "--contract",
            "orders.order_placed.v1",
        ],
    );
    stanchion(&service, &["add", "migration", "add-a-note"]);
    stanchion(&service, &["add", "context", "refunds", "--style", "state"]);
    stanchion(
        &service,
        &["add", "use-case", "approve", "--context", "refunds"],
    );
    // A second aggregate in either kind of context, growing by itself; a consumer where rows are kept.
    stanchion(&service, &["add", "aggregate", "label"]);
    stanchion(&service, &["add", "use-case", "peel", "--of", "label"]);
    stanchion(
        &service,
        &["add", "projection", "label-list", "--of", "label"],
    );
    stanchion(
        &service,
        &["add", "aggregate", "voucher", "--context", "refunds"],
    );
    stanchion(
        &service,
        &[
            "add",
            "consumer",
            "returns",
            "--contract",
            "parcels.parcel_closed.v1",
            "--context",
            "refunds",
        ],
    );
    stanchion(&service, &["adr", "check"]);
    cargo_test(&service);
    // All that grew is mounted at once: two operations of one route or name would end it here.
    let mut program = Command::new(target().join("debug/parcels"));
    program.current_dir(&service);
    let patient = Patient {
        program,
        prefix: "PARCELS",
        path: "/openapi.json",
        has_health: true,
    };
    examined(patient, None);
}

#[test]
#[ignore = "builds a service; `cargo xtask test` runs it by itself, after the others"]
fn a_service_with_state_builds_passes_its_tests_and_its_doctor_on_plain_http_and_on_tls() {
    let place = tempfile::tempdir().unwrap();
    let service = new(place.path(), "billing-desk", "state");
    cargo_test(&service);
    let certificate = Certificate::new(place.path());
    for tls in [None, Some(&certificate)] {
        let mut program = Command::new(target().join("debug/billing-desk"));
        program.current_dir(&service);
        let told = examined(
            Patient {
                program,
                prefix: "BILLING_DESK",
                path: "/openapi.json",
                has_health: true,
            },
            tls,
        );
        assert_eq!(told.contains("ok    tls"), tls.is_some(), "{told}");
    }
}

#[test]
#[ignore = "builds the shop; `cargo xtask test` runs it by itself, after the others"]
fn the_shop_passes_its_doctor_on_plain_http_and_on_tls() {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--offline", "--quiet", "--package", "shop"]);
    said(&cargo.current_dir(repository()).output().unwrap());
    let place = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(place.path());
    for tls in [None, Some(&certificate)] {
        let mut program = Command::new(target().join("debug/shop"));
        let data = place.path().join("data").display().to_string();
        program
            .env("SHOP__DATABASE__URL", format!("sqlite://{data}"))
            .env("SHOP__IDENTITY__ADMIN_PASSWORD", "asked-by-the-doctor")
            .current_dir(place.path());
        if tls.is_some() {
            // The sandbox does not trust this certificate, and no payment is made here.
            let elsewhere = "https://shop.example/api/v1/payments/webhook";
            program.env("SHOP__PAYMENTS__WEBHOOK_URL", elsewhere);
        }
        examined(
            Patient {
                program,
                prefix: "SHOP",
                path: "/openapi.json",
                has_health: false,
            },
            tls,
        );
    }
}

#[test]
fn a_new_service_of_either_style_is_reviewed_without_a_finding() {
    let place = tempfile::tempdir().unwrap();
    for style in ["event-sourced", "state"] {
        let service = new(place.path(), &format!("desk-{style}"), style);
        // Findings of any severity make the exit code 1.
        stanchion(&service, &["review"]);
    }
}

#[test]
fn no_word_of_the_templates_is_left_and_yaml_and_manifests_can_be_read() {
    let place = tempfile::tempdir().unwrap();
    for style in ["event-sourced", "state"] {
        let service = new(place.path(), &format!("desk-{style}"), style);
        for file in files(&service) {
            let text = std::fs::read_to_string(&file).unwrap();
            let words = [
                "service",
                "context",
                "thing",
                "Thing",
                "THING",
                "things",
                "Things",
                "path",
                "table",
                "permission",
                "style",
                "date",
                "version",
                "stanchion",
                "SERVICE",
            ];
            let left = words.iter().find(|word| {
                text.contains(&format!("__{word}__"))
                    || file.display().to_string().contains(&format!("__{word}__"))
            });
            assert_eq!(left, None, "{}", file.display());
        }
        let manifest = std::fs::read_to_string(service.join("Cargo.toml")).unwrap();
        toml::from_str::<toml::Table>(&manifest).unwrap();
        toml::from_str::<toml::Table>(
            &std::fs::read_to_string(service.join("stanchion.toml")).unwrap(),
        )
        .unwrap();
    }
}

#[test]
fn every_alert_is_of_this_service_and_stands_in_its_runbook_and_the_dashboard_is_json() {
    let place = tempfile::tempdir().unwrap();
    let service = new(place.path(), "billing-desk", "state");
    let text = |file: &str| std::fs::read_to_string(service.join(file)).unwrap();
    let (rules, runbook) = (text("monitoring/alerts.yaml"), text("docs/runbook.md"));
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() > 10, "{rules}");
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        assert!(runbook.contains(&format!("`{name}`")), "{name}");
        let (expression, _) = alert.split_once("labels:").unwrap();
        assert!(expression.contains("job=\"billing-desk\""), "{alert}");
        assert!(alert.contains("summary: "), "{alert}");
    }
    let dashboard: serde_json::Value = text("monitoring/dashboard.json").parse().unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let asks = |panel: &serde_json::Value| panel["targets"][0]["expr"].is_string();
    assert!(panels.len() > 10 && panels.iter().all(asks));
}

#[test]
fn a_dry_run_makes_nothing_and_what_is_there_is_never_overwritten() {
    let place = tempfile::tempdir().unwrap();
    let path = repository().display().to_string();
    let told = stanchion(
        place.path(),
        &["new", "parcels", "--dry-run", "--stanchion-path", &path],
    );
    assert!(told.contains("new   Dockerfile") && !place.path().join("parcels").exists());
    let service = new(place.path(), "parcels", "event-sourced");
    let before: Vec<_> = files(&service);
    let told = stanchion(&service, &["add", "use-case", "archive", "--dry-run"]);
    assert!(
        told.contains("+ mod archive;")
            && told.contains("new   src/parcels/application/archive.rs"),
        "{told}"
    );
    assert_eq!(files(&service), before);
    let mut again = Command::new(env!("CARGO_BIN_EXE_stanchion"));
    let again = again
        .args(["new", "parcels", "--stanchion-path", &path])
        .current_dir(place.path())
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(2));
    let mut twice = Command::new(env!("CARGO_BIN_EXE_stanchion"));
    let twice = twice
        .args(["add", "use-case", "rename"])
        .current_dir(&service)
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&twice.stderr).into_owned();
    assert!(
        twice.status.code() == Some(2) && err.contains("rename.rs is there already"),
        "{err}"
    );
}

#[test]
fn a_projection_names_every_event_those_of_use_cases_before_and_after_it() {
    let place = tempfile::tempdir().unwrap();
    let service = new(place.path(), "parcels", "event-sourced");
    stanchion(&service, &["add", "use-case", "archive"]);
    stanchion(&service, &["add", "projection", "parcel-list"]);
    let told = stanchion(&service, &["add", "use-case", "seal"]);
    let arm = |event: &str| format!("ParcelEvent::{event} {{ .. }} => return Ok(()),");
    assert!(told.contains(&arm("Sealed")), "{told}");
    let file = service.join("src/parcels/adapters/parcel_list.rs");
    let text = std::fs::read_to_string(file).unwrap();
    for event in ["Archived", "Sealed"] {
        assert_eq!(text.matches(&arm(event)).count(), 1, "{text}");
    }
    assert!(!text.contains("_ =>"), "{text}");
}

#[test]
fn an_upgrade_shows_what_was_changed_and_writes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let service = new(place.path(), "parcels", "event-sourced");
    let upgrade = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stanchion"));
        let output = command
            .args(["upgrade"])
            .current_dir(&service)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    assert_eq!(upgrade(), (Some(0), String::new()));
    let file = service.join("Dockerfile");
    let text = std::fs::read_to_string(&file)
        .unwrap()
        .replace("USER 10001\n", "");
    std::fs::write(&file, &text).unwrap();
    let (code, diff) = upgrade();
    assert!(code == Some(1) && diff.contains("+USER 10001"), "{diff}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}
