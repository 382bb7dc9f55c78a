//! The limit's decision, made in one step at the server.

use std::time::Duration;

use redis::{FromRedisValue, ParsingError, Script, Value};
use stanchion_resilience::rate::RateSettings;

const GCRA: &str = include_str!("gcra.lua");

/// The longest time a bucket may take to fill: what a Lua number counts in nanoseconds.
const ROOM_MAX: u64 = 1 << 53;

/// Rate and burst as the script wants them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quota {
    call: u64,
    room: u64,
}

/// What the script decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Allowed { left: u64 },
    Refused { wait: Duration },
}

impl Quota {
    /// In nanoseconds, as the local limit counts, so that both allow the same.
    pub(super) fn new(settings: &RateSettings) -> Self {
        let call = Duration::from_secs_f64(1.0 / settings.per_second.max(0.0001));
        let call = u64::try_from(call.as_nanos()).unwrap_or(ROOM_MAX).max(1);
        Quota {
            call,
            room: call
                .saturating_mul(settings.burst.max(1).into())
                .min(ROOM_MAX),
        }
    }

    /// The script's arguments for a call of this cost.
    pub(super) fn arguments(self, cost: u32) -> [i64; 3] {
        let cost = self.call.saturating_mul(cost.into()).min(ROOM_MAX);
        [cost, self.room, self.call].map(|nanos| i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// The same for calls that are given back.
    pub(super) fn given_back(self, cost: u32) -> [i64; 3] {
        let [cost, room, call] = self.arguments(cost);
        [-cost, room, call]
    }
}

pub(super) fn script() -> Script {
    Script::new(GCRA)
}

impl FromRedisValue for Decision {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let Value::Array(answer) = value else {
            return Err("a rate check is answered by an array".to_owned().into());
        };
        let [Value::Int(is_allowed), Value::Int(number)] = answer[..] else {
            return Err("a rate check is answered by two numbers".to_owned().into());
        };
        let number =
            u64::try_from(number).map_err(|_| "a rate check gave less than nothing".to_owned())?;
        Ok(match is_allowed {
            1 => Decision::Allowed { left: number },
            _ => Decision::Refused {
                wait: Duration::from_nanos(number),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_counted_in_nanoseconds_and_bounded() {
        let settings = |per_second, burst| RateSettings {
            per_second,
            burst,
            ..RateSettings::default()
        };
        let quota = Quota::new(&settings(100.0, 5));
        assert_eq!(quota.arguments(2), [20_000_000, 50_000_000, 10_000_000]);
        let longest = Quota::new(&settings(0.0001, 1_000_000));
        let most = i64::try_from(ROOM_MAX).unwrap();
        assert_eq!(longest.arguments(u32::MAX)[..2], [most, most]);
        assert_eq!(longest.given_back(u32::MAX)[..2], [-most, most]);
    }

    #[test]
    fn an_answer_is_a_decision() {
        let answer = |first, second| Value::Array(vec![Value::Int(first), Value::Int(second)]);
        let read = |value| Decision::from_redis_value(value).ok();
        assert_eq!(read(answer(1, 4)), Some(Decision::Allowed { left: 4 }));
        let wait = Duration::from_micros(7);
        assert_eq!(read(answer(0, 7_000)), Some(Decision::Refused { wait }));
        assert_eq!(read(Value::Nil), None);
        assert_eq!(read(answer(1, -4)), None);
    }
}
