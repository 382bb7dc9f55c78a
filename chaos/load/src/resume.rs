//! What the life before left open, and some of what it knew: repeated with the same ids.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;
use uuid::Uuid;

use crate::ask::{Desk, append_of};
use crate::journal::{How, Intent};
use crate::{appends, works};

/// Of what was acknowledged so many are asked for again: the answer must be the same.
const KNOWN_MAX: usize = 20;

/// Reads a journal; the last line may have been cut short.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Intent>> {
    let text = fs::read(path)?;
    let text = String::from_utf8_lossy(&text);
    let mut open: BTreeMap<Uuid, Intent> = BTreeMap::new();
    let mut known = Vec::new();
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let what = line["what"].as_str().unwrap_or_default().to_owned();
        if what == "try" {
            let intent: Intent = serde_json::from_value(line).context("an intent")?;
            open.insert(intent.token, intent);
            continue;
        }
        let token = line["token"].as_str().and_then(|token| token.parse().ok());
        let token: Uuid = token.context("an outcome without a token")?;
        let settled = line["why"].as_str().is_some_and(settles);
        match what.as_str() {
            "ack" => known.extend(open.remove(&token)),
            "refused" if settled => drop(open.remove(&token)),
            _ => {}
        }
    }
    known.retain(|intent| intent.how == How::Append);
    let newest = known.split_off(known.len().saturating_sub(KNOWN_MAX));
    Ok(open.into_values().chain(newest).collect())
}

/// Repeats them.
pub(crate) async fn repeat(mut desk: Desk, left: Vec<Intent>) -> anyhow::Result<()> {
    let log = desk.store.log.clone();
    for intent in left {
        match intent.how {
            // Its ids were not the writer's to choose: a second try would be a second command.
            How::Repository => continue,
            How::Work => {
                desk.journal.again(intent.token);
                works::resume(&mut desk, &intent).await;
            }
            How::Append => {
                desk.journal.again(intent.token);
                let append = append_of(&intent);
                let attempt = async || appends::attempt(&*log, &append).await;
                desk.settle_begun(&intent, attempt).await;
            }
        }
    }
    Ok(())
}

/// A unit that was rolled back by choice is not taken up again.
fn settles(why: &str) -> bool {
    [
        "conflict",
        "handled",
        "claim lost",
        "invalid",
        "rolled back",
    ]
    .contains(&why)
}
