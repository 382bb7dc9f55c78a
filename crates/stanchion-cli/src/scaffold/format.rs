use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Rust as rustfmt leaves it: names have other lengths than the templates' words, so lines break elsewhere. Other files, and all of
/// them without a toolchain, stay as they are.
pub(super) fn formatted(folder: &Path, file: &Path, text: String) -> String {
    if !is_rust(file) {
        return text;
    }
    rustfmt(folder, &text).unwrap_or(text)
}

/// Whether the text is as rustfmt would leave it: only then is it somebody's wish that it stays so.
pub(super) fn is_formatted(folder: &Path, file: &Path, text: &str) -> bool {
    is_rust(file) && rustfmt(folder, text).as_deref() == Some(text)
}

fn is_rust(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "rs")
}

/// By standard input: a file by its name would take the files of its modules along.
fn rustfmt(folder: &Path, text: &str) -> Option<String> {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2024"]).current_dir(folder);
    rustfmt
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = rustfmt.spawn().ok()?;
    // It reads everything before it writes, so the pipe cannot fill up in both directions.
    child.stdin.take()?.write_all(text.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    let formatted = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(formatted)
}
