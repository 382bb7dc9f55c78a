//! What every story needs: a running shop, somebody who talks to it, and what it answered.

pub(crate) mod answer;
pub(crate) mod books;
pub(crate) mod caller;
pub(crate) mod grpc;
pub(crate) mod needs;
pub(crate) mod operated;
pub(crate) mod pair;
mod people;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod stores;
pub(crate) mod wait;

pub(crate) use answer::Answer;
pub(crate) use caller::{Caller, PASSWORD, VISA, item, items};
pub(crate) use operated::{Operated, launch, operate};
pub(crate) use pair::Pair;
pub(crate) use process::{ADMIN_PASSWORD, READY_WITHIN, STOPPED_WITHIN, Shop};
pub(crate) use stores::{in_every_form, on_both_stores};
pub(crate) use wait::eventually;
