//! `stanchion explain`: what a rule is, with its examples; without a name the list of all.

use anyhow::{Context, Result};
use stanchion_review::{all_rules, report, rule_by_name};

use crate::outcome::{Outcome, print};

/// Explain a rule with its examples, or list all rules
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stanchion explain\n  stanchion explain lock-across-await\n  stanchion explain --markdown > docs/guide/review-rules.md"
)]
pub(crate) struct Args {
    /// The rule's name
    rule: Option<String>,
    /// The list as a Markdown page
    #[arg(long, conflicts_with = "rule")]
    markdown: bool,
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    match &args.rule {
        Some(name) => {
            let rule = rule_by_name(name).with_context(|| {
                format!("there is no rule `{name}`; `stanchion explain` lists them")
            })?;
            print(&report::explain(rule))?;
        }
        None if args.markdown => print(&report::rules_markdown())?,
        None => {
            for rule in all_rules() {
                print(&format!(
                    "{:30} {:6} {:6}  {}\n",
                    rule.name,
                    rule.severity.as_str(),
                    rule.confidence.as_str(),
                    rule.title
                ))?;
            }
        }
    }
    Ok(Outcome::Clean)
}
