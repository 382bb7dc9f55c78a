//! The account a server runs under: PostgreSQL refuses root.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};

/// Accounts that exist for this, the better one first.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// Our own account, or another one where we are root.
pub(in crate::servers) struct Account {
    other: Option<(u32, u32)>,
}

impl Account {
    pub(in crate::servers) fn unprivileged() -> Result<Self> {
        let ours = tempfile::tempfile()?.metadata()?.uid();
        if ours != 0 {
            return Ok(Self { other: None });
        }
        let accounts = fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
        let other = CANDIDATES.iter().find_map(|name| ids(&accounts, name));
        let other = other.with_context(|| {
            format!("root cannot run PostgreSQL, and of {CANDIDATES:?} no account exists")
        })?;
        Ok(Self { other: Some(other) })
    }

    /// A command under this account, in a process group of its own: a Ctrl-C meant for us must not reach it first.
    pub(in crate::servers) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.process_group(0).current_dir("/");
        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
        command
    }

    pub(in crate::servers) fn take_over(&self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.other else {
            return Ok(());
        };
        chown(path, Some(user), Some(group)).with_context(|| format!("chown {}", path.display()))
    }
}

/// User and group id of `name` in the text of `/etc/passwd`.
fn ids(accounts: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields = accounts
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next()? == name).then_some(fields))?;
    let (user, group) = (fields.nth(1)?, fields.next()?);
    Some((user.parse().ok()?, group.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::ids;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let accounts = "root:x:0:0::/root:/bin/sh\npostgresql:x:7:8::/:/bin/sh\npostgres:x:101:104:a,b:/var:/bin/sh\n";
        assert_eq!(ids(accounts, "postgres"), Some((101, 104)));
        assert_eq!(ids(accounts, "nobody"), None);
    }
}
