//! What a call through each policy costs, beside the specialist libraries: one JSON object a line.
//!
//! `ours` and `peer` are nanoseconds of one call on each thread, medians over paired rounds: in each round both run one
//! after the other, and `ratio` is the median of the rounds' quotients, so that a slow moment of the machine hits both.

mod cases;
mod measure;

use measure::Case;

fn main() {
    let only = std::env::args()
        .skip(1)
        .find(|argument| argument != "--wall");
    let wanted = |case: &Case| only.as_deref().is_none_or(|only| case.name.contains(only));
    for case in cases::all().into_iter().filter(wanted) {
        println!("{}", case.measured());
    }
}
