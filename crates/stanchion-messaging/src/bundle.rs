//! Several messages of one partition as one on their way.
//!
//! Order by key wants one unconfirmed publish and one unacknowledged delivery a partition, so a partition moves one
//! message a round trip. What waited meanwhile goes together: the broker keeps or loses a bundle as a whole, delivers it
//! to one member, and is asked and told once.

use uuid::Uuid;

use crate::Envelope;
use crate::adapter::json;

/// What a bundle is called where a broker wants a contract's name; nobody's handler takes it.
pub const BUNDLE: &str = "stanchion.bundle.v1";

/// Messages of one bundle, at most.
pub const BUNDLE_MESSAGES_MAX: usize = 64;

/// A bundle is at most so large unless the broker takes less; a message that is larger goes alone.
pub const BUNDLE_BYTES_MAX: usize = 256 * 1024;

/// Messages of one partition, in their order, as a broker is handed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The envelopes as a JSON array.
    pub body: Vec<u8>,
    /// How many they are.
    pub messages: usize,
    /// What the broker may tell repeats by: made of the envelopes' own, the same for the same bundle.
    pub transport: Uuid,
}

/// What a broker is handed at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Parcel<'a> {
    /// A message that goes by itself.
    Alone(&'a Envelope),
    /// Several as one.
    Together(Bundle),
}

/// Messages of one partition in their order, in as few parcels as `messages_max` and `bytes_max` allow. One that is larger
/// than that goes alone.
///
/// # Errors
/// Each of which says that an envelope does not serialise; it is the last then.
pub fn parcels(
    envelopes: &[Envelope],
    messages_max: usize,
    bytes_max: usize,
) -> impl Iterator<Item = Result<Parcel<'_>, serde_json::Error>> {
    let mut rest = envelopes;
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let together = &rest[..rest.len().min(messages_max)];
        let bundle = match together.len() {
            0 | 1 => Ok(None),
            _ => Bundle::of(together, bytes_max),
        };
        Some(match bundle {
            Ok(Some(bundle)) if bundle.messages > 1 => {
                rest = &rest[bundle.messages..];
                Ok(Parcel::Together(bundle))
            }
            Ok(_) => {
                rest = &rest[1..];
                Ok(Parcel::Alone(first))
            }
            Err(error) => {
                rest = &[];
                Err(error)
            }
        })
    })
}

impl Bundle {
    /// Of the first ones: as many as fit into `bytes_max` bytes and into [`BUNDLE_MESSAGES_MAX`], and at least one. `None`
    /// of nothing.
    ///
    /// # Errors
    /// An envelope does not serialise.
    pub fn of(envelopes: &[Envelope], bytes_max: usize) -> Result<Option<Self>, serde_json::Error> {
        let Some(first) = envelopes.first() else {
            return Ok(None);
        };
        let (mut body, mut messages, mut transports) = (Vec::new(), 0, Vec::new());
        for envelope in envelopes.iter().take(BUNDLE_MESSAGES_MAX) {
            let before = body.len();
            body.push(if messages == 0 { b'[' } else { b',' });
            serde_json::to_writer(&mut body, envelope)?;
            if messages > 0 && body.len() >= bytes_max {
                body.truncate(before);
                break;
            }
            transports.extend_from_slice(envelope.transport.as_bytes());
            messages += 1;
        }
        body.push(b']');
        Ok(Some(Self {
            body,
            messages,
            transport: stanchion_runtime::id::derived(&first.transport, &transports),
        }))
    }

    /// What a body brought: the envelopes of a bundle, or the one of a message that came alone.
    ///
    /// # Errors
    /// It is neither.
    pub fn open(body: &[u8]) -> Result<Vec<Envelope>, serde_json::Error> {
        match body.first() {
            Some(b'[') => json(body),
            _ => json(body).map(|envelope| vec![envelope]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LogId, Message, Metadata, Origin, Position};

    fn envelope(number: u128, text: &str) -> Envelope {
        let id = Uuid::from_u128(number);
        let message = Message {
            id,
            contract: "x.y.v1".into(),
            key: "a".into(),
            payload: text.into(),
            origin: Origin {
                log: LogId(Uuid::nil()),
                position: Position(number as i64),
            },
            metadata: Metadata::new(None),
            at: stanchion_runtime::clock::now(),
        };
        Envelope {
            message,
            partition: 3,
            prev: Position(number as i64 - 1),
            transport: id,
        }
    }

    #[test]
    fn what_was_bundled_comes_out_as_it_went_in() {
        let three = [envelope(1, "["), envelope(2, "]"), envelope(3, "")];
        let bundle = Bundle::of(&three, usize::MAX).unwrap().unwrap();
        assert_eq!(bundle.messages, 3);
        assert_eq!(Bundle::open(&bundle.body).unwrap(), three);
        let alone = serde_json::to_vec(&three[1]).unwrap();
        assert_eq!(Bundle::open(&alone).unwrap(), three[1..2]);
        assert!(Bundle::open(b"no message").is_err() && Bundle::open(b"").is_err());
        assert_eq!(Bundle::of(&[], usize::MAX).unwrap(), None);
    }

    #[test]
    fn what_a_log_can_hold_comes_out_however_deeply_it_is_nested() {
        let deep = 127;
        let nested = format!("{}1{}", "[".repeat(deep), "]".repeat(deep));
        let mut one = envelope(1, "");
        one.message.payload = serde_json::from_str(&nested).unwrap();
        let both = [one, envelope(2, "")];
        let bundle = Bundle::of(&both, usize::MAX).unwrap().unwrap();
        assert_eq!(Bundle::open(&bundle.body).unwrap(), both);
        let alone = serde_json::to_vec(&both[0]).unwrap();
        assert_eq!(Bundle::open(&alone).unwrap(), both[..1]);
    }

    #[test]
    fn a_bundle_takes_what_fits_and_at_least_one() {
        let long = "x".repeat(1_000);
        let three = [envelope(1, &long), envelope(2, &long), envelope(3, &long)];
        for (bytes_max, messages) in [(0, 1), (1_500, 1), (3_000, 2), (9_000, 3)] {
            let bundle = Bundle::of(&three, bytes_max).unwrap().unwrap();
            assert_eq!(bundle.messages, messages, "{bytes_max}");
            assert_eq!(Bundle::open(&bundle.body).unwrap(), three[..messages]);
            assert!(messages == 1 || bundle.body.len() <= bytes_max);
        }
        let many = vec![envelope(1, ""); BUNDLE_MESSAGES_MAX + 1];
        let bundle = Bundle::of(&many, usize::MAX).unwrap().unwrap();
        assert_eq!(bundle.messages, BUNDLE_MESSAGES_MAX);
    }

    #[test]
    fn parcels_hold_every_message_once_and_in_order() {
        let long = "x".repeat(3_000);
        let texts = ["", "", &long, "", "", "", ""];
        let all: Vec<_> = (1..)
            .zip(texts)
            .map(|(n, text)| envelope(n, text))
            .collect();
        for (messages_max, expected) in [(0, vec![1; 7]), (1, vec![1; 7]), (3, vec![2, 1, 3, 1])] {
            let (mut opened, mut counts) = (Vec::new(), Vec::new());
            for parcel in parcels(&all, messages_max, 2_000) {
                let envelopes = match parcel.unwrap() {
                    Parcel::Alone(envelope) => vec![envelope.clone()],
                    Parcel::Together(bundle) => Bundle::open(&bundle.body).unwrap(),
                };
                counts.push(envelopes.len());
                opened.extend(envelopes);
            }
            assert_eq!((&opened, &counts), (&all, &expected), "{messages_max}");
        }
    }

    #[test]
    fn the_same_bundle_is_known_by_the_same_id_and_another_one_by_another() {
        let id = |envelopes: &[Envelope]| {
            let bundle = Bundle::of(envelopes, usize::MAX).unwrap();
            bundle.unwrap().transport
        };
        let three = [envelope(1, ""), envelope(2, ""), envelope(3, "")];
        assert_eq!(id(&three), id(&three));
        assert_ne!(id(&three), id(&three[..2]));
        assert_ne!(id(&three[..1]), three[0].transport);
    }
}
