//! The requests being served, for whoever must name them at a stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::context::Context;
use crate::metrics::Counting;

/// So many seats are kept when nobody is left.
const KEPT_MAX: usize = 1024;

/// The requests being served.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<Mutex<Seats>>);

/// Each request has a seat, which the next one takes that comes after it: coming and going costs the same however many
/// there are.
#[derive(Debug, Default)]
struct Seats {
    rows: Vec<Option<Row>>,
    free: Vec<usize>,
}

/// A request that is counted as long as it is there.
#[derive(Debug)]
struct Row(Arc<Context>);

/// Where a request sits, once it does.
#[derive(Debug)]
pub(crate) struct Seat(AtomicUsize);

/// A request in the table until its answer is sent, or it left before.
#[derive(Debug)]
pub(crate) struct Entered {
    table: InFlight,
    context: Arc<Context>,
    stays: bool,
}

/// A request that made another protocol of its connection: whoever has that keeps it, and with it the request's seat.
#[derive(Clone, Debug)]
pub(crate) struct Upgrading {
    _entered: Arc<Entered>,
    _counting: Arc<Counting>,
}

impl Default for Seat {
    fn default() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }
}

impl InFlight {
    /// Every request being served now.
    pub(crate) fn all(&self) -> Vec<Arc<Context>> {
        let seats = self.0.lock();
        let taken = seats.rows.iter().flatten();
        taken.map(|row| Arc::clone(&row.0)).collect()
    }

    pub(crate) fn enter(&self, context: Arc<Context>) -> Entered {
        let row = Row::of(&context);
        self.0.lock().take(row);
        Entered {
            table: self.clone(),
            context,
            stays: false,
        }
    }

    /// Nothing is done for it any more, although its client may not have taken all of the answer.
    pub(crate) fn leave(&self, context: &Arc<Context>) {
        // Dropped without the lock.
        let left = self.0.lock().leave(context);
        drop(left);
    }
}

impl Seats {
    fn take(&mut self, row: Row) {
        let free = self.free.pop();
        // The lock orders what is written here before what is read at the end.
        let sits = |seat| row.0.seat.0.store(seat, Ordering::Relaxed);
        match free {
            Some(seat) => {
                sits(seat);
                self.rows[seat] = Some(row);
            }
            None => {
                sits(self.rows.len());
                self.rows.push(Some(row));
            }
        }
    }

    /// Its row, unless it left before: the seat may be another's by now.
    fn leave(&mut self, context: &Arc<Context>) -> Option<Row> {
        let seat = context.seat.0.load(Ordering::Relaxed);
        let is_its = |row: &mut Row| Arc::ptr_eq(&row.0, context);
        let left = self.rows.get_mut(seat)?.take_if(is_its)?;
        self.free.push(seat);
        if self.rows.len() > KEPT_MAX && self.free.len() == self.rows.len() {
            *self = Self::default();
        }
        Some(left)
    }
}

impl Row {
    fn of(context: &Arc<Context>) -> Self {
        context.lent.metrics.request_began();
        Self(Arc::clone(context))
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        self.0.lent.metrics.request_ended();
    }
}

impl Entered {
    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// It stays until somebody else takes it out.
    pub(crate) fn stay(mut self) {
        self.stays = true;
    }
}

impl Upgrading {
    pub(crate) fn of(entered: Entered, counting: Counting) -> Self {
        Self {
            _entered: Arc::new(entered),
            _counting: Arc::new(counting),
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if !self.stays {
            self.table.leave(&self.context);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::context::Lent;
    use crate::present::Present;

    fn context(id: usize) -> Arc<Context> {
        let request = Request::new(());
        let lent = Lent::alone();
        let context = Context::new(
            id.to_string().as_str().into(),
            &request,
            lent,
            None,
            Present::default(),
        );
        Arc::new(context)
    }

    fn ids(table: &InFlight) -> Vec<String> {
        let mut ids: Vec<_> = table
            .all()
            .iter()
            .map(|it| it.request_id().to_owned())
            .collect();
        ids.sort();
        ids
    }

    #[test]
    fn whoever_left_twice_takes_nobody_elses_seat() {
        let table = InFlight::default();
        let (first, second) = (context(1), context(2));
        let one = table.enter(Arc::clone(&first));
        table.leave(&first);
        let two = table.enter(Arc::clone(&second));
        drop(one);
        assert_eq!(ids(&table), ["2"]);
        // Who never sat leaves nothing.
        table.leave(&context(3));
        two.stay();
        assert_eq!(ids(&table), ["2"]);
        table.leave(&second);
        assert_eq!(ids(&table), [""; 0]);
    }

    #[test]
    fn seats_are_used_again_and_not_kept_for_ever() {
        let table = InFlight::default();
        for _ in 0..3 {
            let all: Vec<_> = (0..10).map(|id| table.enter(context(id))).collect();
            assert_eq!((ids(&table).len(), table.0.lock().rows.len()), (10, 10));
            drop(all);
        }
        let many: Vec<_> = (0..=KEPT_MAX).map(|id| table.enter(context(id))).collect();
        drop(many);
        assert_eq!(table.0.lock().rows.capacity(), 0);
    }
}
