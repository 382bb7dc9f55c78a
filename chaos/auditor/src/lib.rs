//! Judges an event log by what its writers noted down before and after each append.
//!
//! It shares no code and no rule with the log: tables are read with the drivers alone, projections are
//! folded here anew, and what must hold is said here a second time. It never writes. Judge a log whose
//! writers have stopped and whose followers have come to its end.

mod appends;
mod books;
mod findings;
mod followers;
mod inbox;
mod journal;
mod order;
mod sheet;
mod works;

pub use books::Books;
pub use findings::{Complaint, Rule};
pub use journal::Journals;

use findings::Findings;

/// What the judge is told besides books and journals.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Followers that must have come to the log's end.
    pub followers: Vec<String>,
    /// The longest any call of a writer may have taken, in milliseconds.
    pub stuck_ms: u64,
}

/// What an audit came to.
#[derive(Debug)]
pub struct Audit {
    /// Everything that does not add up; empty is what one hopes for.
    pub complaints: Vec<Complaint>,
    /// The balance sheet, to be read by a person.
    pub sheet: String,
}

/// Judges what was read.
#[must_use]
pub fn audit(books: &Books, journals: &Journals, wishes: &Wishes) -> Audit {
    let mut findings = Findings::default();
    order::judge(books, &mut findings);
    let balance = appends::judge(books, journals, wishes, &mut findings);
    let keys = inbox::judge(books, journals, &mut findings);
    works::judge(books, &mut findings);
    followers::judge(books, wishes, &mut findings);
    let complaints = findings.complaints();
    let sheet = sheet::render(books, journals, &balance, &keys, wishes, &complaints);
    Audit { complaints, sheet }
}
