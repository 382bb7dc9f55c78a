//! Running programs: silently until they fail, or aloud while we listen.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// Runs to the end; what it printed is shown only when it fails. Returns its standard output.
pub(crate) fn quiet(command: &mut Command) -> Result<String> {
    let name = name_of(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{name} did not start"))?;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    if !output.status.success() {
        bail!("{name}: {}\n{out}{err}", output.status);
    }
    Ok(out.into_owned())
}

/// Runs to the end with its output passed on; false when it failed.
pub(crate) fn aloud(command: &mut Command) -> Result<bool> {
    let name = name_of(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("{name} did not start"))?;
    Ok(status.success())
}

/// Like [`aloud`], and shows each line of its standard output to `listen` on the way.
pub(crate) fn listen_to_stdout(command: &mut Command, listen: impl FnMut(&str)) -> Result<bool> {
    let name = name_of(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{name} did not start"))?;
    let output = child.stdout.take().context("stdout was piped")?;
    pass_on(output, |line| println!("{line}"), listen)?;
    Ok(child.wait()?.success())
}

/// Like [`aloud`], and shows each line of its standard error to `listen` on the way.
pub(crate) fn listen_to_stderr(command: &mut Command, listen: impl FnMut(&str)) -> Result<bool> {
    let name = name_of(command);
    let mut child = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{name} did not start"))?;
    let output = child.stderr.take().context("stderr was piped")?;
    pass_on(output, |line| eprintln!("{line}"), listen)?;
    Ok(child.wait()?.success())
}

fn pass_on(output: impl Read, print: impl Fn(&str), mut listen: impl FnMut(&str)) -> Result<()> {
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        print(text);
        listen(text);
        line.clear();
    }
    Ok(())
}

/// Program and first arguments, as a person would say it.
fn name_of(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = command
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned());
    [program]
        .into_iter()
        .chain(arguments.take(3))
        .collect::<Vec<_>>()
        .join(" ")
}
