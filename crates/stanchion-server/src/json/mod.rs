//! From bytes to typed values, with an exact answer to everything that can be wrong on the way.

mod parse;
mod text;
mod typed;

pub(crate) use parse::parse;
pub(crate) use text::{clean, clean_tree};
pub(crate) use typed::{Misfit, MisfitKind, from_json, from_text};
