//! Conformance suites and throwaway servers from local binaries; a dev-dependency only.
//!
//! - [`servers`]: real servers on random ports that vanish with the test process.
//! - `conformance`: what every adapter of a port must do.
//! - `feed`: what a context announces, without its log.
//! - [`proxy`]: a TCP proxy that cuts, stalls and refuses.
//! - [`python`]: a Python with packages of PyPI, made once.
//! - [`process`]: one service binary as a child: start, wait until ready, signal, read what it printed.
//!
//! Suites of the ports need the library crates and stand behind the feature `suites` (on by default): a new suite is
//! `#[cfg(feature = "suites")] pub mod …`.

#[cfg(feature = "suites")]
pub mod conformance;
#[cfg(feature = "suites")]
pub mod feed;
pub mod process;
pub mod proxy;
pub mod python;
pub mod servers;
