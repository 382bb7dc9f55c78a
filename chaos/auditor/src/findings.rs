use std::fmt;

/// A rule that the log broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Positions are not 1, 2, 3 ….
    PositionHole,
    /// A stream's versions are not 0, 1, 2 … in the order of positions.
    VersionHole,
    /// One event stands in the log twice.
    Twice,
    /// An event without a stream's name, or that no writer wrote so.
    Nonsense,
    /// An acknowledged append is not there.
    Lost,
    /// Of an append some events are there and some are not, or others stand between them.
    Split,
    /// An acknowledged append stands elsewhere than its writer was told.
    Misplaced,
    /// A writer was told two different things about one append.
    Misled,
    /// What was refused, rolled back or never asked for is there.
    Unasked,
    /// The stream was not as the append expected it.
    Expectation,
    /// An inbox key let two effects through, or lost its own.
    InboxKey,
    /// Rows of a unit of work and its events disagree.
    RowsDiffer,
    /// A follower's rows are not what a replay makes of the log.
    FollowerDiffers,
    /// A follower did not come to the log's end.
    LeftBehind,
    /// A call took longer than anybody should have to wait.
    Stuck,
}

/// One thing that does not add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What it breaks.
    pub rule: Rule,
    /// Where and how.
    pub what: String,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    complaints: Vec<Complaint>,
}

impl Findings {
    pub(crate) fn complain(&mut self, rule: Rule, what: impl Into<String>) {
        let what = what.into();
        self.complaints.push(Complaint { rule, what });
    }

    pub(crate) fn require(&mut self, holds: bool, rule: Rule, what: impl FnOnce() -> String) {
        if !holds {
            self.complain(rule, what());
        }
    }

    /// All of them, by rule.
    pub(crate) fn complaints(mut self) -> Vec<Complaint> {
        self.complaints.sort_by_key(|complaint| complaint.rule);
        self.complaints
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PositionHole => "a hole in the positions",
            Self::VersionHole => "a hole in the versions",
            Self::Twice => "an event twice",
            Self::Nonsense => "an event that makes no sense",
            Self::Lost => "an acknowledged append lost",
            Self::Split => "an append split",
            Self::Misplaced => "an append elsewhere than acknowledged",
            Self::Misled => "a writer misled",
            Self::Unasked => "an append that must not be there",
            Self::Expectation => "an expectation not kept",
            Self::InboxKey => "an inbox key broken",
            Self::RowsDiffer => "rows and events disagree",
            Self::FollowerDiffers => "a follower differs from its log",
            Self::LeftBehind => "a follower left behind",
            Self::Stuck => "a call stuck",
        })
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}
