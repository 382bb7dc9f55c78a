//! The guide's pictures are what the policies do today.

#[path = "../examples/policies/pictures/mod.rs"]
mod pictures;

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_pictures_of_the_guide_show_what_the_policies_do() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/pictures");
    let mut drawn = BTreeSet::new();
    for (name, svg) in pictures::all() {
        let committed = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(
            committed == svg,
            "{name} is not what is drawn today: cargo xtask bench policies --draw docs/guide/pictures"
        );
        drawn.insert(name);
    }
    let there = folder.read_dir().expect("the folder of pictures");
    for file in there {
        let name = file
            .expect("a file")
            .file_name()
            .to_string_lossy()
            .into_owned();
        assert!(drawn.contains(&name), "{name} is drawn by nobody");
    }
}
