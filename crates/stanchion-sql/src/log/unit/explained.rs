//! What became of a unit of work that was refused: whose word it was, or that it is there already.

use stanchion_eventsourcing::Appended;

use super::super::packets;
use super::super::plan::{Verdict, answers, in_part};
use super::super::ready::Ready;
use crate::{Db, SqlError, WorkError, params};

/// What the log says to it; `None` where it has nothing against it.
pub(super) async fn explain(
    db: &Db,
    readies: &[Ready],
) -> Result<Option<Result<Option<Appended>, WorkError>>, SqlError> {
    let tx = db.begin();
    let facts = {
        let client = tx.postgres().await?;
        let all: Vec<&Ready> = readies.iter().collect();
        packets::look_on(&client, &all).await?
    };
    let verdicts = facts.verdicts(readies);
    if verdicts.iter().any(Verdict::rests_on_earlier_rows) {
        // Its own commit waits for a replica that the earlier one may not have waited for.
        tx.exec(packets::TOUCH, params![]).await?;
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    Ok(judge(readies, &verdicts, facts.head))
}

/// Refused by one append, refused as a whole; there already, there as a whole.
pub(super) fn judge(
    readies: &[Ready],
    verdicts: &[Verdict],
    head: i64,
) -> Option<Result<Option<Appended>, WorkError>> {
    if verdicts
        .iter()
        .all(|one| matches!(one, Verdict::Write { .. }))
    {
        return None;
    }
    let (answers, _) = answers(readies, verdicts.to_vec(), head);
    let mut last: Option<Appended> = None;
    let mut is_missing = false;
    for ((answer, verdict), ready) in answers.into_iter().zip(verdicts).zip(readies) {
        match (answer, verdict) {
            (Err(refusal), _) => return Some(Err(WorkError::Log(refusal))),
            (Ok(appended), Verdict::Answered(_)) if ready.len() > 0 => {
                let further = last.is_none_or(|last| last.position < appended.position);
                last = if further { Some(appended) } else { last };
            }
            _ => is_missing = true,
        }
    }
    Some(match is_missing && last.is_some() {
        true => Err(WorkError::Log(in_part())),
        false => Ok(last),
    })
}
