//! A service before a dependency of known capacity, and whoever asks it more than it can do.
//!
//! - `stub`: the dependency. It has a few slots, and each call sleeps in one: what it can do is known by Little's law and
//!   does not depend on the machine.
//! - `serve`: a service on stanchion-server as anybody would write it, with the settings as they are by default.
//! - `ask`: an open-loop load. Requests are sent when they are due, answered or not, and what came of them is printed as
//!   one JSON object.

mod ask;
mod line;
mod serve;
mod stub;
mod tally;

use clap::Parser;

#[derive(Parser)]
#[command(about = "A service before a dependency of known capacity, and whoever asks it too much.")]
enum Program {
    /// The dependency.
    Stub(stub::Options),
    /// The service.
    Serve(serve::Options),
    /// The load.
    Ask(ask::Options),
}

fn main() -> anyhow::Result<()> {
    match Program::parse() {
        Program::Stub(options) => alone()?.block_on(stub::run(options)),
        Program::Serve(options) => {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.enable_all().build()?.block_on(serve::run(options))
        }
        Program::Ask(options) => alone()?.block_on(ask::run(options)),
    }
}

/// One thread: the others' cores are not theirs.
fn alone() -> std::io::Result<tokio::runtime::Runtime> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()
}
