//! Makes messages, clients and servers of `proto/` without protoc, and keeps what reflection shows.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message;

/// A package each, with one service.
const SERVICES: [&str; 5] = ["user", "order", "inventory", "payment", "identity"];

const FOLDER: [&str; 1] = ["proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let everything = protox::compile(SERVICES.map(file), FOLDER)?;
    tonic_prost_build::configure()
        // Whoever connects brings a channel; a server needs none.
        .build_transport(false)
        // It has a password in it.
        .skip_debug(["user.v1.CreateUserRequest"])
        .compile_fds(everything)?;
    for service in SERVICES {
        let descriptors = protox::compile([file(service)], FOLDER)?;
        let kept = out.join(format!("{service}.v1.bin"));
        fs::write(kept, descriptors.encode_to_vec())?;
    }
    Ok(())
}

fn file(service: &str) -> String {
    format!("{service}/v1/{service}.proto")
}
