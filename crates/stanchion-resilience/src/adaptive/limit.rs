//! Where the number of places comes from.

use super::{Gradient, Sample};
use crate::Priority;

#[derive(Debug)]
pub(super) enum Limit {
    /// Found by measuring; in a box, being large.
    Measured(Box<Gradient>),
    /// Given.
    Fixed(u32),
}

impl Limit {
    pub(super) fn now(&self) -> u32 {
        match self {
            Limit::Measured(gradient) => gradient.limit(),
            Limit::Fixed(slots) => *slots,
        }
    }

    pub(super) fn of(&self, priority: Priority) -> u32 {
        match self {
            Limit::Measured(gradient) => gradient.limit_of(priority),
            Limit::Fixed(slots) => priority.part_of(*slots),
        }
    }

    pub(super) fn felt(&mut self) {
        if let Limit::Measured(gradient) = self {
            gradient.felt();
        }
    }

    /// Calls that found no place since the present window began.
    pub(super) fn refusals(&self) -> usize {
        match self {
            Limit::Measured(gradient) => gradient.refusals(),
            Limit::Fixed(_) => 0,
        }
    }

    pub(super) fn sample(&mut self, sample: Sample) {
        if let Limit::Measured(gradient) = self {
            gradient.sample(sample);
        }
    }
}
