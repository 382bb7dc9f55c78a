//! Every tool, resource and prompt, asked by the protocol's own Python client: one that shares nothing with the server.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

const PACKAGES: [&str; 1] = ["mcp>=1.9,<2"];

#[test]
fn the_official_client_calls_every_tool_and_is_refused_outside_the_root() {
    let Some(python) = stanchion_testing::python::with("mcp", &PACKAGES) else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    std::fs::create_dir_all(root.join("docs/guide")).unwrap();
    std::fs::write(root.join("docs/guide/page.md"), "# A page\n").unwrap();
    std::fs::write(place.path().join("secret.md"), "secret").unwrap();
    std::os::unix::fs::symlink(place.path(), root.join("up")).unwrap();
    std::os::unix::fs::symlink(
        place.path().join("secret.md"),
        root.join("docs/guide/leak.md"),
    )
    .unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp_client.py");
    let mut client = Command::new("timeout");
    client
        .arg("120")
        .arg(python)
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_stanchion"))
        .arg(&root);
    let output = client.output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains("every tool called"), "{out}");
    let outside: Vec<_> = std::fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(outside.len(), 2, "something was made outside: {outside:?}");
}
