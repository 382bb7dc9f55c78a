//! The auditor can fail: copies of the books are cooked, and it must name what was done.

use anyhow::{Result, ensure};

use super::{cast::FOLLOWERS, stage::Stage};
use crate::chaos::log_programs::LogPrograms;

/// What is done to a copy, and how the auditor calls it. Constraints go first: they would refuse what is cooked.
const RECIPES: [(&str, &str, &str); 7] = [
    (
        "an acknowledged event deleted",
        "delete from event where position = (select max(position) / 2 from event)",
        "a hole in the positions",
    ),
    (
        "the log's last events gone, as if never written",
        "delete from event where position > (select max(position) - 40 from event)",
        "an acknowledged append lost",
    ),
    (
        "two positions swapped",
        "with h as (select max(position) / 3 as at from event) \
         update event set position = 2 * h.at + 1 - position from h where position in (h.at, h.at + 1)",
        "a follower differs from its log",
    ),
    (
        "an event doubled under a new id",
        "insert into event select h.head + 1, e.stream, (select max(version) + 1 from event v where v.stream = e.stream), \
         gen_random_uuid(), e.category, e.type, e.data, e.meta, e.at, e.checksum \
         from event e, (select max(position) as head from event) h where e.position = 7",
        "an event twice",
    ),
    (
        "a hole in a stream's versions",
        "update event set version = version + 1 where position = (select max(position) from event)",
        "a hole in the versions",
    ),
    (
        "a row that a follower skipped",
        "delete from each_row where position = (select max(position) / 2 from each_row)",
        "a follower differs from its log",
    ),
    (
        "a row without its event",
        "update work_row set cents = cents + 1 where id = (select min(id::text)::uuid from work_row)",
        "rows and events disagree",
    ),
];

const UNBOUND: &str = "set search_path = chaos; alter table event drop constraint event_pkey, \
    drop constraint event_position_key, drop constraint event_event_id_key; ";

pub(super) fn all_are_found(stage: &Stage, programs: &LogPrograms) -> Result<()> {
    for (number, (what, recipe, name)) in RECIPES.iter().enumerate() {
        let copy = format!("cooked_{number}");
        stage.copy_database(&copy)?;
        stage.sql_in(&copy, &format!("{UNBOUND}{recipe}"))?;
        let sheet = programs.sheet(&stage.url_of(&copy), &stage.journals(), &FOLLOWERS)?;
        ensure!(sheet.contains(name), "{what} passed the audit:\n{sheet}");
        println!("cooked       {what}: found as `{name}`");
    }
    Ok(())
}
