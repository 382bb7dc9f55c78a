//! The balance sheet.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use crate::appends::Balance;
use crate::books::Books;
use crate::inbox::Keys;
use crate::journal::Journals;
use crate::{Complaint, Wishes};

/// Of each rule so many complaints are shown; the rest are counted.
const SHOWN_MAX: usize = 8;

pub(crate) fn render(
    books: &Books,
    journals: &Journals,
    balance: &Balance,
    keys: &Keys,
    wishes: &Wishes,
    complaints: &[Complaint],
) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, books, journals, balance, keys, wishes);
    let _ = verdict(&mut out, complaints);
    out
}

fn write(
    out: &mut String,
    books: &Books,
    journals: &Journals,
    balance: &Balance,
    keys: &Keys,
    wishes: &Wishes,
) -> fmt::Result {
    let events = books.events.len();
    let streams = books.streams();
    writeln!(
        out,
        "the log      {events} events in {streams} streams, head {}",
        books.head()
    )?;
    let lives = journals.lives;
    writeln!(
        out,
        "writers      {lives} lives, {} calls answered, {} lines torn by a kill",
        journals.answered, journals.torn
    )?;
    let asked = journals.appends.len();
    writeln!(
        out,
        "appends      {asked} asked for: {} acknowledged, {} refused, {} left unknown",
        balance.acknowledged,
        balance.refused,
        balance.found + balance.absent
    )?;
    let mut ways: BTreeMap<&str, u64> = BTreeMap::new();
    for noted in journals.appends.values() {
        *ways.entry(&noted.intent.how).or_default() += 1;
    }
    for (how, count) in ways {
        writeln!(out, "  {how:<10} {count}")?;
    }
    writeln!(
        out,
        "  repeats    {} times the same ids again, the same answer",
        balance.repeated
    )?;
    writeln!(
        out,
        "  in doubt   resolved by repeating: {} there, {} not; by this audit: {} there, {} not",
        balance.resolved_there, balance.resolved_absent, balance.found, balance.absent
    )?;
    writeln!(
        out,
        "inbox        {} keys dealt with, {} appends turned away",
        keys.used, keys.turned_away
    )?;
    writeln!(
        out,
        "units        {} rows on {} accounts beside their events",
        books.rows.len(),
        books.accounts.len()
    )?;
    for name in &wishes.followers {
        let at = books.checkpoint(name).unwrap_or(0);
        writeln!(out, "follower     {name} at {at}")?;
    }
    for (answer, count) in &journals.answers {
        writeln!(out, "answer       {answer}: {count}")?;
    }
    if let Some(call) = &journals.longest {
        writeln!(
            out,
            "longest call {} ms, answered `{}`",
            call.ms, call.answer
        )?;
    }
    Ok(())
}

fn verdict(out: &mut String, complaints: &[Complaint]) -> fmt::Result {
    if complaints.is_empty() {
        return writeln!(out, "findings     none: everything adds up");
    }
    writeln!(out, "findings     {}", complaints.len())?;
    for same in complaints.chunk_by(|one, other| one.rule == other.rule) {
        for complaint in same.iter().take(SHOWN_MAX) {
            writeln!(out, "  {complaint}")?;
        }
        if same.len() > SHOWN_MAX {
            writeln!(out, "  {}: {} more", same[0].rule, same.len() - SHOWN_MAX)?;
        }
    }
    Ok(())
}
