//! From bytes to typed values, with an exact answer to everything that can be wrong on the way.

mod misfit;
mod parse;
mod parts;
mod text;
mod typed;

pub(crate) use misfit::{Misfit, MisfitKind};
pub(crate) use parse::parse;
pub(crate) use text::{clean, clean_body};
pub(crate) use typed::{from_json, from_text};
