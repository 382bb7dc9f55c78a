use std::path::PathBuf;

use clap::Subcommand;

use crate::outcome::{Outcome, print};
use crate::root::Root;
use crate::scaffold::{Growth, Style, Whereto, grow};

/// Add a context, an aggregate, a use case, a projection, a consumer or a migration to a service that `new` made.
///
/// Prints each file that it makes and each line that it adds; never overwrites anything.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The service's folder.
    #[arg(long, default_value = ".", global = true)]
    root: PathBuf,
    /// To which context; the first one unless given.
    #[arg(long, global = true)]
    context: Option<String>,
    /// Print what would be made, and make nothing.
    #[arg(long, global = true)]
    dry_run: bool,
    #[command(subcommand)]
    what: What,
}

const EXAMPLES: &str = "\
Examples:
  stanchion add context refunds --style state
  stanchion add aggregate label
  stanchion add use-case archive --dry-run
  stanchion add use-case peel --of label
  stanchion add projection parcel-list
  stanchion add consumer billing --contract orders.order_placed.v1
  stanchion add migration add-a-note --context refunds";

#[derive(Subcommand)]
enum What {
    /// A context with an aggregate or a table of its own, its routes, its gRPC service and its tests.
    Context {
        /// Its name, `refunds`.
        name: String,
        /// What it is about, one of them.
        #[arg(long)]
        thing: Option<String>,
        /// What is the truth: the log of what happened, or rows.
        #[arg(long, value_enum, default_value = "event-sourced")]
        style: Style,
    },
    /// An aggregate beside the first of a context: its rules, use cases, routes, gRPC service and tests.
    Aggregate {
        /// Its name, one of them: `label`.
        name: String,
    },
    /// A use case from its route to its rule: `archive` is `POST /parcels/{id}/archive`.
    UseCase {
        /// What is to be done, imperative: `archive`.
        name: String,
        /// What has happened then, if it is not `Archived`: `Sent`.
        #[arg(long)]
        event: Option<String>,
        /// Of which of the context's aggregates; the first one unless given.
        #[arg(long, value_name = "AGGREGATE")]
        of: Option<String>,
    },
    /// Rows made of the log, with their table.
    Projection {
        /// Its name, `parcel-list`; also its table's.
        name: String,
        /// Of which of the context's aggregates; the first one unless given.
        #[arg(long, value_name = "AGGREGATE")]
        of: Option<String>,
    },
    /// Somebody who takes others' contracts, once in effect.
    Consumer {
        /// Its name.
        name: String,
        /// Which contract, `orders.order_placed.v1`.
        #[arg(long)]
        contract: String,
    },
    /// A change of the tables, up and down.
    Migration {
        /// What it does: `add-a-note`.
        name: String,
    },
}

pub(crate) fn run(args: Args) -> anyhow::Result<Outcome> {
    let root = Root::open(&args.root)?;
    let (of, growth) = args.what.growth();
    let to = Whereto {
        context: args.context.as_deref(),
        thing: of.as_deref(),
    };
    let plan = grow(&root, to, &growth)?;
    if args.dry_run {
        plan.check(&root)?;
        print(&format!("would do:\n{}", plan.told()))?;
        return Ok(Outcome::Clean);
    }
    plan.carry_out(&root)?;
    print(&plan.told())?;
    Ok(Outcome::Clean)
}

impl What {
    /// Of which thing, and what.
    fn growth(self) -> (Option<String>, Growth) {
        match self {
            Self::Context { name, thing, style } => (None, Growth::Context { name, thing, style }),
            Self::Aggregate { name } => (None, Growth::Aggregate { name }),
            Self::UseCase { name, event, of } => (of, Growth::UseCase { name, event }),
            Self::Projection { name, of } => (of, Growth::Projection { name }),
            Self::Consumer { name, contract } => (None, Growth::Consumer { name, contract }),
            Self::Migration { name } => (None, Growth::Migration { name }),
        }
    }
}
