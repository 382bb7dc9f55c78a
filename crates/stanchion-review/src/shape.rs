//! The shapes that rules ask for, alike in both languages: calls, functions, loops, handlers, texts.

mod body;
mod call;
mod handler;
mod item;
mod text;

pub(crate) use body::{
    body_of, function_of, in_async, is_async, is_counted, is_endless, is_over_items, loop_of,
    same_body,
};
pub(crate) use call::{Call, calls, calls_in};
pub(crate) use handler::{go_context, go_parameters, is_handler};
pub(crate) use item::{attributes, binding, escapes, fields, is_statement, keys, macros};
pub(crate) use text::{has_word, is_sql, literal, literals, says, words};
