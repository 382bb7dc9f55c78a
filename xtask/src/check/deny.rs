//! cargo-deny: what may be in the tree, under which licence, from where; and what is known to be broken in it.

use anyhow::Result;

use crate::{shell, tool, workspace};

pub(super) fn check() -> Result<String> {
    tool::DENY.ensure()?;
    let mut deny = workspace::cargo(&[
        "deny",
        "--log-level",
        "error",
        "check",
        "bans",
        "licenses",
        "sources",
    ]);
    shell::quiet(&mut deny)?;
    Ok("bans, licences, sources".to_owned())
}

/// Known defects, wherever their database can be had: a machine without it must still be able to check the rest.
pub(super) fn advisories() -> Result<String> {
    tool::DENY.ensure()?;
    if shell::quiet(&mut workspace::cargo(&["deny", "fetch", "db"])).is_err() {
        return Ok("NOT CHECKED: the advisory database cannot be reached from here".to_owned());
    }
    shell::quiet(&mut workspace::cargo(&[
        "deny",
        "--log-level",
        "error",
        "check",
        "--disable-fetch",
        "advisories",
    ]))?;
    Ok("database fetched".to_owned())
}
