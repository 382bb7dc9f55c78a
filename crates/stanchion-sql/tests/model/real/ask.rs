//! What a log answers to a step, in words that do not tell one log from another.

use stanchion_eventsourcing::{
    self as es, AppendError, ExecuteError, Metadata, Repository, Version,
};
use stanchion_messaging::{Claim, Claimed};

use super::counter::{Counter, FIRST, Full};
use super::{Real, holder, moment};

impl Real {
    pub(super) async fn append(&self, append: es::Append) -> String {
        match self.log.append(append).await {
            Ok(appended) => format!(
                "at {} version {:?}",
                appended.position.0 - self.base,
                appended.version.map(|version| version.0)
            ),
            Err(AppendError::Invalid(_)) => "invalid".into(),
            Err(AppendError::Conflict { actual }) => {
                format!("conflict with {:?}", actual.map(|version| version.0))
            }
            Err(AppendError::AlreadyHandled { answer, position }) => {
                let position = position.map(|position| position.0 - self.base);
                let answer = answer.and_then(|answer| answer.first().copied());
                format!("handled at {position:?} with {answer:?}")
            }
            Err(AppendError::ClaimLost) => "the claim was lost".into(),
            Err(other) => panic!("{}: {other}", self.name),
        }
    }

    pub(super) async fn claim(&self, key: u8, owner: u8) -> String {
        let now = stanchion_runtime::clock::now();
        let claim = Claim {
            key: self.key(key),
            fingerprint: [7; 32],
            owner: holder(owner),
            now,
            expires_at: now + jiff::SignedDuration::from_hours(1),
        };
        match self.inbox.claim(&claim).await.unwrap() {
            Claimed::Fresh => "fresh".into(),
            Claimed::Running => "running".into(),
            Claimed::Answered { answer, position } => {
                let position = position.map(|position| position.0 - self.base);
                let answer = answer.first().copied().unwrap_or_default();
                format!("answered {answer:?} at {position:?}")
            }
            Claimed::Reused => "reused".into(),
        }
    }

    pub(super) async fn due(&self, at: i64, limit: usize) -> String {
        let mut times = Vec::new();
        for category in [FIRST, "counter"] {
            let due = self
                .log
                .due_timers(category, moment(at), 100)
                .await
                .unwrap();
            times.extend(due.iter().map(|timer| timer.due_at.as_second()));
        }
        times.sort_unstable();
        times.truncate(limit);
        format!("due {times:?}")
    }

    pub(super) async fn execute(
        &self,
        process: u8,
        stream: u8,
        by: i64,
        expected: Option<i64>,
    ) -> String {
        let (first, other) = &self.processes[usize::from(process)];
        if stream == 0 {
            self.execute_on(first, stream, by, expected).await
        } else {
            self.execute_on(other, stream, by, expected).await
        }
    }

    async fn execute_on<const F: bool>(
        &self,
        counters: &Repository<Counter<F>>,
        stream: u8,
        by: i64,
        expected: Option<i64>,
    ) -> String {
        let (stream, metadata) = (self.stream(stream), Metadata::new(None));
        let mut execution = counters.on(stream.id(), &metadata);
        if expected.is_some() {
            execution = execution.expecting(expected.map(Version));
        }
        match execution.execute(&by).await {
            Ok(done) => format!(
                "{} at {} version {:?}",
                done.state.count,
                done.position.0 - self.base,
                done.version.map(|version| version.0)
            ),
            Err(ExecuteError::Refused(Full)) => "full".into(),
            Err(ExecuteError::VersionMismatch { actual }) => {
                format!("mismatch with {:?}", actual.map(|version| version.0))
            }
            Err(other) => panic!("{}: {other}", self.name),
        }
    }

    pub(super) async fn load(&self, process: u8, stream: u8) -> String {
        let (first, other) = &self.processes[usize::from(process)];
        let id = self.stream(stream);
        let (count, version) = if stream == 0 {
            let loaded = first.load(id.id()).await.unwrap();
            (loaded.state.count, loaded.version)
        } else {
            let loaded = other.load(id.id()).await.unwrap();
            (loaded.state.count, loaded.version)
        };
        format!("{count} at {:?}", version.map(|version| version.0))
    }
}
