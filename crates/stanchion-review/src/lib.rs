//! Reads a repository of Rust and Go services and answers an architect's checklist from facts in the source.
//!
//! ```text
//! walk (bounded) ─► Source (a flat syntax tree) ─► rules ─► findings ─┐
//!                        └─► Facts (imports, evidence) ─► project rules ┴─► Review ─► report
//! ```
//!
//! Nothing here calls a model, a network or the reviewed code. Everything read from the repository is hostile until
//! shown otherwise: files, bytes, depth and nodes are bounded ([`Bounds`]), links are never followed, a file that does
//! not parse is reviewed as far as it goes.
//!
//! A rule is a file in `rules/`: its name, why it is one, its mend, and its examples, which are its tests.

mod architecture;
mod baseline;
mod changed;
mod checklist;
mod config;
mod evidence;
mod facts;
mod found;
mod map;
mod model;
mod node;
mod opened;
mod outline;
mod read;
pub mod report;
mod review;
mod rules;
mod shape;
mod source;
mod suppress;
mod walk;

pub use baseline::Baseline;
pub use changed::{Changed, changed_lines};
pub use checklist::{Answer, Verdict};
pub use config::{Architecture, Config, ConfigError, Layer};
pub use evidence::Evidence;
pub use facts::{Facts, Import};
pub use map::{LayerMap, layer_map};
pub use model::{Confidence, Example, Finding, Language, Point, Rule, Severity};
pub use read::review_text;
pub use review::{Options, Review, review};
pub use rules::{all as all_rules, by_name as rule_by_name};
pub use walk::{Bounds, Skipped};
