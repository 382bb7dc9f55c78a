//! Draws what each policy does over time into a folder: `cargo xtask bench policies --draw docs/guide/pictures`.

mod pictures;

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.expect("the folder to draw into is the one argument");
    std::fs::create_dir_all(&folder)?;
    for (name, svg) in pictures::all() {
        println!("{name} {} bytes", svg.len());
        std::fs::write(folder.join(name), svg)?;
    }
    Ok(())
}
