//! What every story needs: a running shop, somebody who talks to it, and what it answered.

pub(crate) mod answer;
pub(crate) mod caller;
pub(crate) mod needs;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod wait;

pub(crate) use answer::Answer;
pub(crate) use caller::{Caller, PASSWORD, VISA, item, items};
pub(crate) use process::{READY_WITHIN, STOPPED_WITHIN, Shop};
pub(crate) use wait::eventually;
