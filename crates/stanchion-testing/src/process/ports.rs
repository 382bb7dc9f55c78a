//! Ports that no two tests get.

use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    os::unix::fs::MetadataExt,
    process,
    sync::{Mutex, PoisonError},
};

use anyhow::{Result, bail};

/// Where servers of tests listen: below the ports that systems take for connections and for port 0.
const PORTS: Range<u16> = 20_000..32_000;

/// How far apart two processes begin to look for a port.
const PORTS_EACH: u32 = 7;

/// A port of 127.0.0.1 that nobody else gets until this process ends: no other test by way of this function, and no
/// connection of the machine, because it lies below the ports that the system hands out by itself. Two that start a
/// server on one port would not notice: the second one ends, and the first one answers for it.
///
/// # Errors
/// When every port of the range is taken, or the folder of locks below the temporary folder cannot be made.
pub fn free_port() -> Result<u16> {
    static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let user = fs::metadata("/proc/self")?.uid();
    let folder = env::temp_dir().join(format!("stanchion-ports-{user}"));
    fs::create_dir_all(&folder)?;
    // Processes begin at different places, so that each finds one soon.
    let first = process::id().wrapping_mul(PORTS_EACH) % PORTS.len() as u32;
    for offset in 0..PORTS.len() as u32 {
        let port = PORTS.start + u16::try_from((first + offset) % PORTS.len() as u32)?;
        let lock = File::create(folder.join(port.to_string()))?;
        if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            HELD.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(lock);
            return Ok(port);
        }
    }
    bail!("no free port in {PORTS:?}")
}
