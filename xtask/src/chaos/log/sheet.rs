//! What was done, to be read before what the auditor found.

use std::{collections::BTreeMap, fmt, time::Duration};

use stanchion_testing::proxy::ProxyCounts;

use super::schedule::Fault;

#[derive(Default)]
pub(super) struct Sheet {
    faults: BTreeMap<&'static str, u64>,
    pub(super) cuts: ProxyCounts,
    /// From the start of a server's recovery until it took connections.
    recoveries: Vec<Duration>,
    /// From the end of all faults until the last follower had caught up.
    pub(super) settled: Duration,
    pub(super) lives: u64,
    /// What nobody but us should have seen: each is a finding.
    pub(super) complaints: Vec<String>,
}

impl Sheet {
    pub(super) fn done(&mut self, fault: Fault) {
        *self.faults.entry(fault.name()).or_default() += 1;
    }

    pub(super) fn recovered(&mut self, took: Duration) {
        self.recoveries.push(took);
    }

    pub(super) fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u64 = self.faults.values().sum();
        writeln!(f, "faults       {all}")?;
        for (name, count) in &self.faults {
            writeln!(f, "  {count:>4}  {name}")?;
        }
        let (connections, turns, replies) = (
            self.cuts.connections,
            self.cuts.cut_turns,
            self.cuts.cut_replies,
        );
        writeln!(
            f,
            "network      {connections} connections, {turns} cut on the way there, {replies} on the way back"
        )?;
        let longest = self.recoveries.iter().max().copied().unwrap_or_default();
        let count = self.recoveries.len();
        writeln!(
            f,
            "server       {count} recoveries, the longest {longest:.1?}"
        )?;
        writeln!(
            f,
            "processes    {} lives, settled {:.1?} after the last fault",
            self.lives, self.settled
        )?;
        for complaint in &self.complaints {
            writeln!(f, "FINDING      {complaint}")?;
        }
        Ok(())
    }
}
