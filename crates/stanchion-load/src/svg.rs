//! Reports as pictures: SVG text without a script, readable on light and on dark.

mod percentiles;
mod sheet;
mod time;

pub use percentiles::percentiles;
pub use time::{Mark, over_time};
