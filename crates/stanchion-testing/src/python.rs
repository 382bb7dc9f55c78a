//! A Python with packages of PyPI, for tests by programs that share no code with ours.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::servers;

/// The interpreter of an environment with these packages, at `target/NAME-venv`; `None`, said loudly, where it cannot be
/// had.
///
/// It is made once and again when the packages change. Several tests may ask for the same one at the same time: the
/// first makes it, the others wait for that. Programs that a package brings stand beside the interpreter. Only wheels
/// are installed, so that no stranger's build runs; a package of a program brings it ready.
///
/// ```no_run
/// # fn a_script_of_python_understands_it() {
/// let Some(python) = stanchion_testing::python::with("schemas", &["jsonschema>=4,<5"]) else { return };
/// # }
/// ```
///
/// # Panics
/// With `STANCHION_TEST_SERVERS=1` where it cannot be had, so that CI never skips in silence; and where `target` cannot
/// be written.
#[must_use]
pub fn with(name: &str, packages: &[&str]) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let made = locked(&target, name, || make(&target, name, packages));
    let made = made.unwrap_or_else(|error| panic!("target/{name}-venv: {error}"));
    if made.is_none() {
        servers::skip(&format!("python3-venv and PyPI's {}", packages.join(", ")));
    }
    made
}

/// One process at a time; the lock ends with the file, even when the process is killed.
fn locked<T>(target: &Path, name: &str, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    fs::create_dir_all(target)?;
    let lock = File::create(target.join(format!("{name}-venv.lock")))?;
    lock.lock()?;
    work()
}

fn make(target: &Path, name: &str, packages: &[&str]) -> io::Result<Option<PathBuf>> {
    let venv = target.join(format!("{name}-venv"));
    let (python, done) = (venv.join("bin/python"), venv.join("done"));
    let wanted = packages.join("\n");
    if fs::read_to_string(&done).is_ok_and(|have| have == wanted) {
        return Ok(Some(python));
    }
    let empty = succeeds(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&venv),
    );
    let install = [
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
    ];
    let mut pip = Command::new(venv.join("bin/pip"));
    if !empty || !succeeds(pip.args(install).args(packages)) {
        return Ok(None);
    }
    fs::write(done, wanted)?;
    Ok(Some(python))
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
