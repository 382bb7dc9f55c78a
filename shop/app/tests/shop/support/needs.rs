//! Programs that some stories need besides the shop.

use std::path::PathBuf;

/// The first of these programs that the machine has; says loudly that the test is skipped otherwise.
pub(crate) fn program(names: &[&str]) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        stanchion_testing::servers::skip(names[0]);
    }
    found
}
