//! A trip: a flight and a hotel, and from the second definition on an insurance.
//!
//! `Trip<OLDEST, NEWEST, MIGRATES>` is the process as one version of the code has it: the definitions it can run, and whether it
//! brings what runs to the newest of them.
#![allow(dead_code, unreachable_pub)]

use std::ops::RangeInclusive;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use stanchion_eventsourcing::{Aggregate, Process, Standing, Step, TimerChange};

/// How long a step may take.
pub const STEP_TIMEOUT: SignedDuration = SignedDuration::from_secs(60);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trip<const OLDEST: u32, const NEWEST: u32, const MIGRATES: bool> {
    pub at: Option<At>,
    flight: bool,
    hotel: bool,
    due_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Flight,
    Hotel,
    Insurance,
    Turned,
    Over,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TripCommand {
    Start {
        at: Timestamp,
    },
    FlightBooked {
        at: Timestamp,
    },
    HotelBooked {
        at: Timestamp,
    },
    Insured,
    Returned,
    TimeOut {
        at: Timestamp,
    },
    /// What only code with a second definition has an answer to.
    Strike,
    /// A defect.
    Explode,
    /// Another one: it asks for the hotel, and forgets that it did.
    Careless,
    /// A third: it asks for what only the second definition has.
    Insure,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum TripEvent {
    FlightAsked { due_at: Timestamp },
    HotelAsked { due_at: Timestamp },
    HotelAskedInSecret,
    InsuranceAsked { due_at: Timestamp },
    Turned,
    Over { travelling: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody thought of that")]
pub struct Unthought;

impl<const OLDEST: u32, const NEWEST: u32, const MIGRATES: bool> Aggregate
    for Trip<OLDEST, NEWEST, MIGRATES>
{
    const CATEGORY: &'static str = "trip";
    type Command = TripCommand;
    type Event = TripEvent;
    type Refusal = Unthought;

    fn decide(&self, command: &TripCommand) -> Result<Vec<TripEvent>, Unthought> {
        self.decide_under(NEWEST, command)
    }

    fn evolve(&mut self, event: &TripEvent) {
        let (at, due_at) = match event {
            TripEvent::FlightAsked { due_at } => (At::Flight, Some(*due_at)),
            TripEvent::HotelAsked { due_at } => (At::Hotel, Some(*due_at)),
            TripEvent::HotelAskedInSecret => (At::Hotel, None),
            TripEvent::InsuranceAsked { due_at } => (At::Insurance, Some(*due_at)),
            TripEvent::Turned => (At::Turned, None),
            TripEvent::Over { .. } => (At::Over, None),
        };
        self.flight |= matches!(event, TripEvent::FlightAsked { .. });
        self.hotel |= matches!(event, TripEvent::HotelAsked { .. });
        (self.at, self.due_at) = (Some(at), due_at);
    }

    fn timers(event: &TripEvent) -> Vec<TimerChange> {
        let name = "step".to_owned();
        match event {
            TripEvent::FlightAsked { due_at }
            | TripEvent::HotelAsked { due_at }
            | TripEvent::InsuranceAsked { due_at } => {
                let due_at = *due_at;
                vec![TimerChange::Set { name, due_at }]
            }
            _ => vec![TimerChange::Clear { name }],
        }
    }
}

const FLIGHT: Step = Step::new("book_flight").compensated_by("return_flight");
const HOTEL: Step = Step::new("book_hotel").compensated_by("cancel_hotel");
const INSURANCE: Step = Step::new("insure");

impl<const OLDEST: u32, const NEWEST: u32, const MIGRATES: bool> Process
    for Trip<OLDEST, NEWEST, MIGRATES>
{
    const DEFINITIONS: RangeInclusive<u32> = OLDEST..=NEWEST;

    fn steps(definition: u32) -> &'static [Step] {
        match definition {
            1 => &[FLIGHT, HOTEL],
            _ => &[FLIGHT, HOTEL, INSURANCE],
        }
    }

    fn enters(event: &TripEvent) -> Option<Standing> {
        Some(match event {
            TripEvent::FlightAsked { .. } => Standing::AtStep("book_flight"),
            TripEvent::HotelAsked { .. } | TripEvent::HotelAskedInSecret => {
                Standing::AtStep("book_hotel")
            }
            TripEvent::InsuranceAsked { .. } => Standing::AtStep("insure"),
            TripEvent::Turned => Standing::Compensating,
            TripEvent::Over { travelling: true } => Standing::Ended("travelling"),
            TripEvent::Over { travelling: false } => Standing::Ended("at_home"),
        })
    }

    fn compensations(&self) -> Vec<&'static str> {
        let sides = [(self.flight, "return_flight"), (self.hotel, "cancel_hotel")];
        let held = sides
            .into_iter()
            .filter(|(asked, _)| *asked && self.at != Some(At::Over));
        held.map(|(_, name)| name).collect()
    }

    fn decide_under(
        &self,
        definition: u32,
        command: &TripCommand,
    ) -> Result<Vec<TripEvent>, Unthought> {
        use TripCommand as C;
        let due = |at: &Timestamp| *at + STEP_TIMEOUT;
        Ok(match (self.at, command) {
            (_, C::Explode) => panic!("a defect"),
            (_, C::Strike) if NEWEST == 1 => return Err(Unthought),
            (_, C::Careless) => vec![TripEvent::HotelAskedInSecret],
            (_, C::Insure) => vec![TripEvent::InsuranceAsked {
                due_at: Timestamp::UNIX_EPOCH,
            }],
            (None, C::Start { at }) => vec![TripEvent::FlightAsked { due_at: due(at) }],
            (Some(At::Flight), C::FlightBooked { at }) => {
                vec![TripEvent::HotelAsked { due_at: due(at) }]
            }
            (Some(At::Hotel), C::HotelBooked { at }) if definition > 1 => {
                vec![TripEvent::InsuranceAsked { due_at: due(at) }]
            }
            (Some(At::Hotel), C::HotelBooked { .. }) | (Some(At::Insurance), C::Insured) => {
                vec![TripEvent::Over { travelling: true }]
            }
            (Some(At::Flight | At::Hotel | At::Insurance), C::TimeOut { at })
                if self.due_at.is_some_and(|due_at| due_at <= *at) =>
            {
                vec![TripEvent::Turned]
            }
            (Some(At::Turned), C::Returned) => vec![TripEvent::Over { travelling: false }],
            _ => vec![],
        })
    }

    fn migrate(&self, _from: u32) -> Option<Vec<TripEvent>> {
        MIGRATES.then(Vec::new)
    }

    fn restart(&self, step: &str, at: Timestamp) -> Result<Vec<TripEvent>, String> {
        let due_at = at + STEP_TIMEOUT;
        match (step, self.at) {
            ("book_flight", Some(At::Flight | At::Hotel)) => {
                Ok(vec![TripEvent::FlightAsked { due_at }])
            }
            ("book_hotel", Some(At::Hotel)) => Ok(vec![TripEvent::HotelAsked { due_at }]),
            _ => Err(format!("there is no way back to `{step}`")),
        }
    }
}
