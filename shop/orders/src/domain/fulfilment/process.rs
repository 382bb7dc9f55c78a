//! Fulfilment as a process: its steps, what would be undone, and the ways back to a step.

use jiff::Timestamp;
use stanchion::eventsourcing::{Process, Standing, Step as ProcessStep};

use super::decide::after;
use super::{Fulfilment, FulfilmentEvent, HELD_STEPS, Outcome, Step, Undo};

const RESERVE: &str = "reserve_stock";
const AUTHORIZE: &str = "authorize_payment";
const COMMIT: &str = "commit_stock";
const CAPTURE: &str = "capture_payment";

/// What takes back what stock did.
const RELEASE: &str = "release_stock";

/// What takes back what payment did.
const CANCEL: &str = "cancel_payment";

/// The name, for a restart, of what goes on while an order is taken back.
const COMPENSATE: &str = "compensate";

const STEPS: [ProcessStep; 4] = [
    ProcessStep::new(RESERVE).compensated_by(RELEASE),
    ProcessStep::new(AUTHORIZE).compensated_by(CANCEL),
    ProcessStep::new(COMMIT).compensated_by(RELEASE),
    ProcessStep::new(CAPTURE).compensated_by(CANCEL),
];

impl Process for Fulfilment {
    fn steps(_definition: u32) -> &'static [ProcessStep] {
        &STEPS
    }

    fn enters(event: &FulfilmentEvent) -> Option<Standing> {
        use FulfilmentEvent as E;
        Some(match event {
            E::FulfilmentStarted { .. } => Standing::AtStep(RESERVE),
            E::StockHeld { .. } => Standing::AtStep(AUTHORIZE),
            E::PaymentAuthorized { .. } => Standing::AtStep(COMMIT),
            E::StockCommitted { .. } => Standing::AtStep(CAPTURE),
            E::PaymentCaptured => Standing::Ended("fulfilled"),
            E::CompensationStarted { .. } => Standing::Compensating,
            E::FulfilmentFailed { .. } => Standing::Ended("failed"),
            E::FulfilmentCancelled => Standing::Ended("cancelled"),
            E::StockUndone | E::PaymentUndone => return None,
        })
    }

    fn compensations(&self) -> Vec<&'static str> {
        let (stock, payment) = match self.step {
            Step::Idle | Step::Ended { .. } => (false, false),
            Step::Compensating { .. } => (self.stock == Undo::Asked, self.payment == Undo::Asked),
            _ => self.may_be_held(),
        };
        let sides = [(stock, RELEASE), (payment, CANCEL)];
        sides
            .iter()
            .filter(|(held, _)| *held)
            .map(|(_, name)| *name)
            .collect()
    }

    /// Only to where it is: who did a step already does not answer for it again. It helps where a message was given up.
    fn restart(&self, step: &str, at: Timestamp) -> Result<Vec<FulfilmentEvent>, String> {
        let (here, events) = match self.step {
            Step::Reserving => (RESERVE, self.started_again(at)),
            Step::Authorizing => (AUTHORIZE, self.stock_held(at)),
            Step::Committing => (COMMIT, self.payment_authorized(at)),
            Step::Capturing => (CAPTURE, self.stock_committed(at)),
            Step::Compensating { outcome } => (COMPENSATE, self.undone_again(outcome)),
            Step::Idle | Step::Fulfilled | Step::Ended { .. } => {
                return Err("it waits for nothing".into());
            }
        };
        if step == here {
            return Ok(events);
        }
        Err(format!(
            "it is at `{here}`, and only that can be asked for again"
        ))
    }
}

impl Fulfilment {
    fn started_again(&self, at: Timestamp) -> Vec<FulfilmentEvent> {
        let event = |about: &super::About| FulfilmentEvent::FulfilmentStarted {
            about: about.clone(),
            items: self.items.clone(),
            until: after(at, about.step_timeout.saturating_mul(HELD_STEPS)),
            due_at: after(at, about.step_timeout),
        };
        self.about.iter().map(event).collect()
    }

    fn undone_again(&self, outcome: Outcome) -> Vec<FulfilmentEvent> {
        let about = self.about.as_ref();
        let payment = about.filter(|_| self.payment == Undo::Asked);
        vec![FulfilmentEvent::CompensationStarted {
            stock: self.stock == Undo::Asked,
            payment: payment.map(|about| about.payment_id),
            outcome,
        }]
    }
}
