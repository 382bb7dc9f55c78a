//! What customers noted of their requests, and what of it nobody may meet while no service is away.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

/// What hashes a password. A machine does few of them at a time, all customers come at once, and who is told when to come back
/// has been answered rightly. Nobody else is told that by so few customers.
const MAY_BE_SHED: [&str; 2] = ["POST /users", "POST /auth/login"];

/// What became of requests that were not answered for good at once.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Shed as they may be, and repeated: how often each.
    pub(super) shed: BTreeMap<&'static str, usize>,
    /// What failed, each as it was noted.
    pub(super) failed: Vec<String>,
}

impl Met {
    /// Of a whole ledger.
    pub(super) fn of(ledger: &str) -> Result<Self> {
        let mut met = Self::default();
        for line in ledger.lines() {
            let note = parsed(line)?;
            let request = note["request"].as_str().unwrap_or_default();
            let may_be_shed = MAY_BE_SHED.into_iter().find(|name| *name == request);
            match (note["what"].as_str(), may_be_shed) {
                (Some("shed"), Some(name)) => *met.shed.entry(name).or_default() += 1,
                (Some("shed" | "interrupted" | "broken"), _) => met.failed.push(line.to_owned()),
                _ => {}
            }
        }
        Ok(met)
    }
}

/// How long it took to take an order, each of that part of a ledger, but for those whose end was waited for; in order.
pub(super) fn taking(ledger: &str) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    for line in ledger.lines() {
        let micros = parsed(line)?["took_us"].as_u64();
        took.extend(micros.map(Duration::from_micros));
    }
    took.sort_unstable();
    Ok(took)
}

fn parsed(line: &str) -> Result<Value> {
    serde_json::from_str(line).with_context(|| format!("in the ledger: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEDGER: &str = r#"{"customer":"ada","key":"1","what":"asked"}
{"customer":"ada","key":"1","took_us":1500,"tries":2,"what":"order"}
{"customer":"ada","key":"2","took_us":null,"tries":1,"what":"order"}
{"request":"POST /orders","what":"interrupted","why":"503 null"}
{"customer":"ada","key":"3","took_us":900,"tries":1,"what":"order"}
"#;

    #[test]
    fn what_was_taken_is_told_with_how_long_and_what_failed_with_why() {
        let took = [900, 1_500].map(Duration::from_micros);
        assert_eq!(taking(LEDGER).unwrap(), took);
        let failed = Met::of(LEDGER).unwrap().failed;
        assert_eq!(failed.len(), 1);
        assert!(failed[0].contains("503"), "{failed:?}");
    }

    #[test]
    fn customers_who_come_all_at_once_may_be_told_to_come_back() {
        let shed = r#"{"http":503,"request":"POST /users","what":"shed"}"#;
        let met = Met::of(&[shed, shed].join("\n")).unwrap();
        assert_eq!(met.shed, BTreeMap::from([("POST /users", 2)]));
        assert!(met.failed.is_empty(), "{met:?}");
    }

    #[test]
    fn nothing_else_is_let_off() {
        for line in [
            r#"{"http":503,"request":"POST /orders","what":"shed"}"#,
            r#"{"http":429,"request":"GET /orders/7","what":"shed"}"#,
            // An outage of who registers them is none of overload.
            r#"{"request":"POST /users","what":"interrupted","why":"503 {\"code\":\"UNAVAILABLE\"}"}"#,
            // Nobody is served who is shed again and again.
            r#"{"body":"shed for 61s","http":503,"request":"POST /users","what":"broken"}"#,
        ] {
            let met = Met::of(line).unwrap();
            assert_eq!((met.failed.len(), met.shed.len()), (1, 0), "{line}");
        }
    }
}
