//! A review as text: for people, for programs, for a pull request.

mod human;
mod json;
mod markdown;
mod sarif;

pub use human::{Human, explain, human};
pub use json::json;
pub use markdown::{markdown, rules_markdown};
pub use sarif::sarif;
