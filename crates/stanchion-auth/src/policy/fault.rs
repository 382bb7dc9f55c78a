use std::fmt;

use super::FAULTS_MAX;

/// What is wrong with a policy file, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyFault {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, and how it is mended where that is known.
    pub what: String,
}

/// All that is wrong with a policy file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFaults {
    /// The file's name, as it was given.
    pub file: String,
    /// At least one, at most [`FAULTS_MAX`] and a last one that says that there are more.
    pub faults: Vec<PolicyFault>,
}

impl PolicyFaults {
    pub(crate) fn new(file: &str, mut faults: Vec<PolicyFault>) -> Self {
        faults.sort();
        faults.dedup();
        let more = faults.len().saturating_sub(FAULTS_MAX);
        faults.truncate(FAULTS_MAX);
        if let Some(last) = faults.last().filter(|_| more > 0) {
            let what = format!("and {more} more");
            faults.push(PolicyFault {
                what,
                ..last.clone()
            });
        }
        Self {
            file: file.to_owned(),
            faults,
        }
    }
}

/// `FILE:LINE:COLUMN: what`, one a line.
impl fmt::Display for PolicyFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, fault) in self.faults.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            let PolicyFault { line, column, what } = fault;
            write!(f, "{}:{line}:{column}: {what}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyFaults {}
