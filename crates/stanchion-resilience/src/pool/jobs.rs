//! What a pool decides: a core without tasks, clock and futures.

use std::collections::VecDeque;

/// The jobs of a pool, from being taken to having ended. `J` is the job, whatever that is.
#[derive(Debug)]
pub(super) struct Jobs<J> {
    waiting: VecDeque<J>,
    room: usize,
    running: usize,
    is_open: bool,
}

/// Why a job was not taken; it comes back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotTaken<J> {
    /// As many wait as may.
    Full(J),
    /// No more are taken, ever.
    Closed(J),
}

/// What a worker that has nothing to do does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<J> {
    /// It runs this, and says when that has ended.
    Run(J),
    /// It waits for a job.
    Wait,
    /// It ends.
    End,
}

impl<J> Jobs<J> {
    pub(super) fn new(room: usize) -> Self {
        Jobs {
            waiting: VecDeque::new(),
            room,
            running: 0,
            is_open: true,
        }
    }

    pub(super) fn put(&mut self, job: J) -> Result<(), NotTaken<J>> {
        if !self.is_open {
            return Err(NotTaken::Closed(job));
        }
        if self.waiting.len() >= self.room {
            return Err(NotTaken::Full(job));
        }
        self.waiting.push_back(job);
        Ok(())
    }

    pub(super) fn next(&mut self) -> Next<J> {
        match self.waiting.pop_front() {
            Some(job) => {
                self.running += 1;
                Next::Run(job)
            }
            None if self.is_open => Next::Wait,
            None => Next::End,
        }
    }

    /// A job that was given out has ended, in whatever way.
    pub(super) fn ended(&mut self) {
        self.running -= 1;
    }

    /// Takes no more; what waits is still given out.
    pub(super) fn close(&mut self) {
        self.is_open = false;
    }

    /// Takes no more, and gives up what waits.
    pub(super) fn stop(&mut self) -> VecDeque<J> {
        self.close();
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Put,
        Next,
        Ended,
        Close,
        Stop,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            20 => Just(Step::Put),
            15 => Just(Step::Next),
            10 => Just(Step::Ended),
            1 => Just(Step::Close),
            1 => Just(Step::Stop),
        ];
        proptest::collection::vec(step, 1..200)
    }

    proptest! {
        /// Every job that is put in is given out once, comes back, or is given up, in the order of putting; and what
        /// is refused is refused for the reason that is true.
        #[test]
        fn each_job_has_exactly_one_fate(steps in steps(), room in 1..5_usize) {
            let mut jobs = Jobs::new(room);
            let (mut next, mut inside, mut running, mut is_open) = (0_u32, VecDeque::new(), 0, true);
            for step in steps {
                match step {
                    Step::Put => {
                        next += 1;
                        let taken = jobs.put(next);
                        if !is_open {
                            prop_assert_eq!(taken, Err(NotTaken::Closed(next)));
                        } else if inside.len() == room {
                            prop_assert_eq!(taken, Err(NotTaken::Full(next)));
                        } else {
                            prop_assert_eq!(taken, Ok(()));
                            inside.push_back(next);
                        }
                    }
                    Step::Next => match jobs.next() {
                        Next::Run(job) => {
                            prop_assert_eq!(Some(job), inside.pop_front());
                            running += 1;
                        }
                        Next::Wait => prop_assert!(is_open && inside.is_empty()),
                        Next::End => prop_assert!(!is_open && inside.is_empty()),
                    },
                    Step::Ended if running > 0 => { jobs.ended(); running -= 1; }
                    Step::Ended => {}
                    Step::Close => { jobs.close(); is_open = false; }
                    Step::Stop => {
                        prop_assert_eq!(jobs.stop(), std::mem::take(&mut inside));
                        is_open = false;
                    }
                }
                prop_assert_eq!((jobs.waiting(), jobs.running(), jobs.is_open()), (inside.len(), running, is_open));
            }
        }
    }
}
