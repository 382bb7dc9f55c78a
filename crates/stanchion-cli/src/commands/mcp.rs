use std::path::PathBuf;

use anyhow::Context;

use crate::mcp::serve;
use crate::outcome::Outcome;
use crate::root::Root;

/// Serve the architect's tools to a coding agent, over stdin and stdout (Model Context Protocol).
///
/// Tools: decide, adr, adr_new, scaffold, add, doctor. Nothing outside the root is read or written, and only adr_new, scaffold
/// and add write. Guides, patterns and decisions of the root are resources.
#[derive(clap::Args)]
#[command(
    after_help = "Example, for an agent's configuration:\n  {\"mcpServers\": {\"stanchion\": {\"command\": \"stanchion\", \"args\": [\"mcp\", \"--root\", \".\"]}}}"
)]
pub(crate) struct Args {
    /// The folder that is worked in; nothing outside of it is touched.
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let root = Root::open(&args.root)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.context("no runtime")?.block_on(serve(root))?;
    Ok(Outcome::Clean)
}
