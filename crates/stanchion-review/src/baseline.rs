//! Findings that were there before: a file that lets a team begin today and mend by and by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Finding;

/// Known findings by fingerprint, with how often each is there. Moving code keeps its fingerprint; changing the line or
/// the file's path makes a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Version of this file's form.
    pub version: u32,
    /// Fingerprint, how often.
    pub known: BTreeMap<String, usize>,
}

impl Baseline {
    /// All of these are known from now on.
    pub fn of(findings: &[Finding]) -> Self {
        let mut known = BTreeMap::new();
        for finding in findings {
            *known.entry(finding.fingerprint.clone()).or_default() += 1;
        }
        Self { version: 1, known }
    }

    /// Reads the text of a baseline file.
    ///
    /// # Errors
    /// Where the text is not one.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).map_or_else(|_| String::new(), |text| text + "\n")
    }

    /// Leaves only what is new; of a line that is there more often than known, the later ones are new.
    pub fn retain_new(&self, findings: &mut Vec<Finding>) -> usize {
        let mut left = self.known.clone();
        let before = findings.len();
        findings.retain(|finding| match left.get_mut(&finding.fingerprint) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        });
        before - findings.len()
    }
}
