use std::path::PathBuf;
use std::time::Duration;

use crate::doctor::{Asked, Point, Verdict, examine};
use crate::outcome::{Outcome, Paint, plain, print};

/// Ask a running service for what the shipping checklist wants, over its ports.
///
/// Any service, in any language. Nothing is changed; with --stop the process is told to end, and watched. Only this machine is asked
/// unless --anywhere is said.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The public port.
    #[arg(default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The operator's port, where health and metrics are, if it is another one.
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// The environment variable that has the operator's bearer token.
    #[arg(long, value_name = "VARIABLE")]
    admin_token_env: Option<String>,
    /// A path that is served, asked for headers, ids and limits.
    #[arg(long, default_value = "/")]
    path: String,
    /// A metric that must be there; may be given several times.
    #[arg(long, value_name = "NAME")]
    metric: Vec<String>,
    /// Send SIGTERM to this process at the end and watch how it stops.
    #[arg(long, value_name = "PID")]
    stop: Option<u32>,
    /// How long slow answers (half a request head, the stop) are waited for.
    #[arg(long, default_value = "45", value_name = "SECONDS")]
    patience: u64,
    /// Trust these certificates (PEM) instead of the machine's.
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// Ask hosts other than this machine. Only what is yours: it sends a burst of 120 requests.
    #[arg(long)]
    anywhere: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  stanchion doctor http://127.0.0.1:8080 --admin http://127.0.0.1:9090
  stanchion doctor --stop $(pidof parcels)
  stanchion doctor https://localhost:8443 --roots ca.pem --path /api/v1/products --json";

pub(crate) fn run(args: Args) -> anyhow::Result<Outcome> {
    let points = examine(&Asked {
        url: args.url,
        admin: args.admin,
        admin_token: args.admin_token_env.map(std::env::var).transpose()?,
        path: args.path,
        anywhere: args.anywhere,
        metrics: args.metric,
        stop: args.stop,
        patience: Duration::from_secs(args.patience),
        roots: args.roots,
    })?;
    if args.json {
        print(&(serde_json::to_string_pretty(&points)? + "\n"))?;
    } else {
        print(&told(&points, Paint::stdout()))?;
    }
    Ok(Outcome::of(
        points.iter().any(|point| point.verdict == Verdict::Fail),
    ))
}

fn told(points: &[Point], paint: Paint) -> String {
    let mut text = String::new();
    for point in points {
        let verdict = match point.verdict {
            Verdict::Ok => paint.green("ok  "),
            Verdict::Warn => paint.yellow("warn"),
            Verdict::Fail => paint.red("FAIL"),
            Verdict::Skipped => "--  ".to_owned(),
        };
        text += &format!("{verdict}  {:<23} {}\n", point.name, plain(&point.seen));
        if !point.mend.is_empty() {
            text += &format!("      {:<23} {}\n", "", point.mend);
        }
    }
    let count = |verdict| {
        points
            .iter()
            .filter(|point| point.verdict == verdict)
            .count()
    };
    let (failed, warned) = (count(Verdict::Fail), count(Verdict::Warn));
    text + &format!(
        "{} points: {failed} failed, {warned} to look at, {} not asked\n",
        points.len(),
        count(Verdict::Skipped)
    )
}
