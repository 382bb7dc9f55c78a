//! Start, run, stop: a protocol, each step bounded and logged.

mod assemble;
mod prune;
mod running;
mod signals;
mod start;
mod stop;
mod stopped;
mod workers;

pub use running::{Addresses, Running};
pub use signals::run;
pub use start::StartError;
pub use stopped::{Stopped, Stuck};
