//! Makes messages, clients and servers of `proto/` without protoc, and keeps what reflection shows.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message;

/// A package each, with one service.
const PACKAGES: &[&str] = &[
    // <names>
    "__context__",
    // </names>
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for package in PACKAGES {
        let file = format!("{package}/v1/{package}.proto");
        let compiled = protox::compile([file], ["proto"])?;
        fs::write(out.join(format!("{package}.v1.bin")), compiled.encode_to_vec())?;
        tonic_prost_build::configure()
            // Whoever connects brings a channel; a server needs none.
            .build_transport(false)
            .compile_fds(compiled)?;
    }
    Ok(())
}
