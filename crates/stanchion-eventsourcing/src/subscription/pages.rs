mod pace;

use std::sync::Arc;
use std::time::Duration;

use stanchion_runtime::task::{self, Task};
use tokio::sync::watch;
use tokio::time::Instant;

use self::pace::Pace;
use crate::{Checkpoint, CheckpointError, EventLog, Filter, LogError, Position, Recorded};

/// How often a reader that goes on checks its place in the log again.
const VERIFY_EVERY: Duration = Duration::from_secs(10);

/// A log read page by page, in order and without a hole; the next page is fetched while this one is handled.
///
/// Pages are small at the head and grow with the backlog, between the bounds given, as long as handling one takes no
/// longer than 250 ms ([`Pages::handled`]) and its entries take about 4 MiB of memory. The place it goes on from is verified at the first page, every 10 s, and
/// after each read whenever the log is of another [incarnation](EventLog::incarnation): a log that went back stops it,
/// also one that has grown beyond the place since. At most one page is fetched ahead.
///
/// Cancel-safe: a cancelled [`Pages::next`] loses nothing.
pub struct Pages {
    log: Arc<dyn EventLog>,
    filter: Filter,
    changes: watch::Receiver<Position>,
    pace: Pace,
    at: Checkpoint,
    until: Option<Position>,
    /// The last position that the log itself told.
    head: Position,
    ahead: Option<Ahead>,
    verified: Option<Instant>,
    /// The log's incarnation in which the place was verified.
    incarnation: u64,
}

/// A stretch of a log.
#[derive(Clone, Debug)]
pub struct Page {
    /// The entries that pass the filter, in order; there may be none.
    pub entries: Vec<Recorded>,
    /// The log was looked through up to here.
    pub through: Checkpoint,
    /// The entries asked for.
    pub limit: usize,
    /// There is more: the next page is being fetched.
    pub more: bool,
}

impl Pages {
    /// The entries of `log` that pass `filter`, after the checkpoint, in pages of `least` to `most` entries.
    pub fn new(
        log: Arc<dyn EventLog>,
        filter: Filter,
        after: Checkpoint,
        (least, most): (usize, usize),
    ) -> Self {
        Self {
            changes: log.changes(),
            log,
            filter,
            pace: Pace::new(least, most),
            at: after,
            until: None,
            head: Position::START,
            ahead: None,
            verified: None,
            incarnation: 0,
        }
    }

    /// Ends at `last`: later entries are not there for it.
    #[must_use]
    pub fn until(mut self, last: Position) -> Self {
        self.until = Some(last);
        self
    }

    /// Where the next page begins.
    #[must_use]
    pub fn at(&self) -> &Checkpoint {
        &self.at
    }

    /// The next page; one without progress (`through` is where the last one ended) when there is nothing new.
    ///
    /// # Errors
    /// [`CheckpointError`]: the log is out, damaged, or not the one it was.
    pub async fn next(&mut self) -> Result<Page, CheckpointError> {
        self.verify_now_and_then().await?;
        let page = match self.ahead.take() {
            Some(ahead) => ahead.page().await,
            None => {
                let request = self.request(self.at);
                request.read().await
            }
        };
        let page = page.inspect_err(|_| self.slow_down())?;
        self.verify_in_a_new_incarnation(&page.through).await?;
        self.pace.saw(&page.entries, page.limit);
        self.at = page.through;
        if page.more {
            let request = self.request(page.through);
            self.ahead = Some(Ahead::start(request));
        }
        Ok(page)
    }

    /// Smaller pages for a while: the last one was too much.
    pub fn slow_down(&mut self) {
        self.pace.slow_down();
        self.ahead = None;
    }

    /// Says how many entries were handled in what time: later pages are as large as can be handled in 250 ms.
    pub fn handled(&mut self, entries: usize, took: Duration) {
        self.pace.handled(entries, took);
    }

    /// Goes on from another place, which is verified first.
    pub fn go_on_from(&mut self, after: Checkpoint) {
        self.at = after;
        self.ahead = None;
        self.verified = None;
    }

    /// Waits until the log seems to have grown, at most `longest`.
    pub async fn wait(&mut self, longest: Duration) {
        match tokio::time::timeout(longest, self.changes.changed()).await {
            Ok(Ok(_)) | Err(_) => {}
            // The log's hints have ended: only looking helps.
            Ok(Err(_)) => tokio::time::sleep(longest).await,
        }
    }

    async fn verify_now_and_then(&mut self) -> Result<(), CheckpointError> {
        let fresh = |at: Instant| at.elapsed() < VERIFY_EVERY;
        if self.verified.is_some_and(fresh) {
            return Ok(());
        }
        self.verified = None;
        self.at.verify(&*self.log).await?;
        self.head = self.log.head().await?;
        self.verified = Some(Instant::now());
        Ok(())
    }

    /// After the read, both ends: a page of the log as it was before may end where the log of now does not reach, and one
    /// of the log of now may begin where it is another one.
    async fn verify_in_a_new_incarnation(
        &mut self,
        through: &Checkpoint,
    ) -> Result<(), CheckpointError> {
        let now = self.log.incarnation();
        if self.incarnation != now {
            self.at.verify(&*self.log).await?;
            if *through != self.at {
                through.verify(&*self.log).await?;
            }
            self.incarnation = now;
        }
        Ok(())
    }

    fn request(&mut self, at: Checkpoint) -> Request {
        // Marked as seen before the read: what grows during it wakes the next wait.
        let known = self.head.max(*self.changes.borrow_and_update());
        Request {
            log: Arc::clone(&self.log),
            filter: self.filter.clone(),
            at,
            limit: self.pace.size(),
            until: self.until,
            known: self.until.map_or(known, |last| known.min(last)),
        }
    }
}

/// One page to be read.
struct Request {
    log: Arc<dyn EventLog>,
    filter: Filter,
    at: Checkpoint,
    limit: usize,
    until: Option<Position>,
    /// A position that was there before the read began: what the read does not show up to it does not pass the filter.
    known: Position,
}

impl Request {
    async fn read(self) -> Result<Page, LogError> {
        let (mut entries, limit) = self.read_intact().await?;
        check_order(&self.filter, self.at.position, &entries)?;
        let full = entries.len() >= limit;
        let read = entries.len();
        if let Some(last) = self.until {
            entries.retain(|entry| entry.position <= last);
        }
        let cut = entries.len() < read;
        let last = entries
            .last()
            .map_or(self.at, |entry| Checkpoint::after(self.at.log, entry));
        let through = self.look_further(last, full && !cut).await?;
        Ok(Page {
            // Without progress another look would show no more.
            more: !cut && through != self.at && (full || through.position < self.known),
            entries,
            through,
            limit: self.limit,
        })
    }

    /// A damaged entry is met alone: what comes before it is read. Also says how many entries were asked for in the end: as
    /// many may be followed by more.
    async fn read_intact(&self) -> Result<(Vec<Recorded>, usize), LogError> {
        let mut limit = self.limit;
        loop {
            match self.log.read(self.at.position, &self.filter, limit).await {
                Err(LogError::Damaged { .. }) if limit > 1 => limit /= 2,
                read => return Ok((read?, limit)),
            }
        }
    }

    /// Beyond the last entry that passes the filter there may be others: a page that is not full reaches past them, and
    /// so does the checkpoint.
    async fn look_further(&self, last: Checkpoint, full: bool) -> Result<Checkpoint, LogError> {
        if full || self.known <= last.position || self.filter == Filter::all() {
            return Ok(last);
        }
        let before = Position(self.known.0 - 1);
        let known = self.log.read(before, &Filter::all(), 1).await?;
        let there = known.first().filter(|entry| entry.position == self.known);
        Ok(there.map_or(last, |entry| Checkpoint::after(self.at.log, entry)))
    }
}

/// Positions grow, and without a filter none is missing: anything else is a log that must not be gone on from.
fn check_order(filter: &Filter, after: Position, entries: &[Recorded]) -> Result<(), LogError> {
    let mut last = after;
    for entry in entries {
        let follows = match filter == &Filter::all() {
            true => entry.position == last.next(),
            false => entry.position > last,
        };
        if !follows {
            return Err(LogError::Damaged {
                position: last.next(),
                reason: format!("after {last} comes {}", entry.position),
            });
        }
        last = entry.position;
    }
    Ok(())
}

/// The page that is fetched while another one is handled.
struct Ahead(Task<Result<Page, LogError>>);

impl Ahead {
    fn start(request: Request) -> Self {
        Self(task::spawn("log-page", request.read()))
    }

    async fn page(mut self) -> Result<Page, LogError> {
        let fetched = (&mut self.0).await;
        fetched.unwrap_or_else(|failed| Err(LogError::Unavailable(failed.to_string())))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.abort();
    }
}
