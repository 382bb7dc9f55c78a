//! What calls usually take.

/// Times of the last calls, at most [`SAMPLES_MAX`].
#[derive(Debug, Default)]
pub(super) struct Samples {
    nanos: Vec<u64>,
    pub(super) seen: usize,
}

const SAMPLES_MAX: usize = 256;
impl Samples {
    pub(super) fn add(&mut self, nanos: u64) {
        if self.nanos.len() < SAMPLES_MAX {
            self.nanos.push(nanos);
        } else {
            self.nanos[self.seen % SAMPLES_MAX] = nanos;
        }
        self.seen += 1;
    }

    /// The mean of the quicker nine tenths; 1 when there is none. A median jumps where calls are served in turns.
    pub(super) fn usual(&mut self) -> u64 {
        let kept = (self.nanos.len() * 9).div_ceil(10);
        if kept == 0 {
            return 1;
        }
        self.nanos.select_nth_unstable(kept - 1);
        self.nanos[..kept].iter().sum::<u64>() / kept as u64
    }
}
