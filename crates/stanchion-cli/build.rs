//! Puts the templates into the binary, a list of their paths and texts, and where it was built from.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=templates");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let templates = root.join("templates");
    let mut files = Vec::new();
    collect(&templates, &mut files)?;
    files.sort();
    say_the_checkout(&root)?;
    let mut list = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&templates).unwrap_or(file);
        let _ = writeln!(
            list,
            "    ({:?}, include_str!({file:?})),",
            name.display().to_string()
        );
    }
    list.push(']');
    fs::write(
        PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("templates.rs"),
        list,
    )
}

/// The checkout that this is built in, for new services: a package of a registry has no facade beside it.
fn say_the_checkout(root: &Path) -> io::Result<()> {
    let checkout = root.join("../..");
    let facade = checkout.join("crates/stanchion/Cargo.toml");
    if facade.is_file() {
        println!("cargo::rerun-if-changed={}", facade.display());
        let checkout = checkout.canonicalize()?;
        println!("cargo::rustc-env=STANCHION_CHECKOUT={}", checkout.display());
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
