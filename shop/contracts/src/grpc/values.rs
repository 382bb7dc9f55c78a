use std::fmt;

use jiff::Timestamp;
use shop_kernel::Money;

use super::{common, user};

/// A time in protobuf's form.
#[must_use]
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    // Of times before 1970 protobuf counts the nanoseconds forwards, jiff backwards.
    let nanos = at.as_nanosecond().rem_euclid(NANOS_A_SECOND);
    let seconds = at.as_nanosecond().div_euclid(NANOS_A_SECOND);
    prost_types::Timestamp {
        seconds: i64::try_from(seconds).unwrap_or_default(),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

/// A time out of protobuf's form; `None` if there is no such time.
#[must_use]
pub fn instant(at: prost_types::Timestamp) -> Option<Timestamp> {
    let fits = (0..NANOS_A_SECOND).contains(&i128::from(at.nanos));
    let at = Timestamp::new(at.seconds, at.nanos);
    at.ok().filter(|_| fits)
}

const NANOS_A_SECOND: i128 = 1_000_000_000;

impl From<Money> for common::v1::Money {
    fn from(Money { amount, currency }: Money) -> Self {
        let currency = currency.to_string();
        Self { amount, currency }
    }
}

/// Without the password, and without what is personal.
impl fmt::Debug for user::v1::CreateUserRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateUserRequest").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_the_same_on_the_way_back() {
        for text in [
            "2026-07-01T12:00:00.123456Z",
            "1970-01-01T00:00:00Z",
            "1969-12-31T23:59:59.25Z",
        ] {
            let at: Timestamp = text.parse().unwrap();
            let told = timestamp(at);
            assert!((0..1_000_000_000).contains(&told.nanos), "{told:?}");
            assert_eq!(instant(told), Some(at));
        }
    }

    #[test]
    fn a_time_that_there_is_not_is_none() {
        for (seconds, nanos) in [(i64::MAX, 0), (0, -1), (0, 1_000_000_000)] {
            let at = prost_types::Timestamp { seconds, nanos };
            assert_eq!(instant(at), None, "{at:?}");
        }
    }
}
