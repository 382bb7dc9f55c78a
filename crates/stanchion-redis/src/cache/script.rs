//! What is done at the server in one step, and its answers.

use std::time::Duration;

use redis::{ParsingError, RedisResult, Script, ScriptInvocation, Value, from_redis_value};
use stanchion_cache::{Found, Kept, Put, Stamp};

/// The longest span a Lua number counts in microseconds: 285 years.
const SPAN_MAX: u64 = 1 << 53;

#[derive(Debug)]
pub(super) struct Scripts {
    fetch: Script,
    keep: Script,
    forget: Script,
}

/// A script with its arguments, and how its answer is read.
pub(super) struct Call<'a, T> {
    pub(super) invocation: ScriptInvocation<'a>,
    pub(super) read: fn(Value) -> RedisResult<T>,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Scripts {
            fetch: Script::new(include_str!("fetch.lua")),
            keep: Script::new(include_str!("keep.lua")),
            forget: Script::new(include_str!("forget.lua")),
        }
    }

    pub(super) fn fetch(&self, key: &str) -> Call<'_, Found> {
        Call {
            invocation: self.fetch.key(key),
            read: |answer| Ok(found(answer)?),
        }
    }

    pub(super) fn keep(&self, key: &str, put: &Put) -> Call<'_, bool> {
        let entry = &put.entry;
        let (kind, body) = match &entry.body {
            Some(body) => ("value", body.as_slice()),
            None => ("absence", [].as_slice()),
        };
        let mut invocation = self.keep.key(key);
        invocation
            .arg(put.began.0)
            .arg(kind)
            .arg(entry.version)
            .arg(entry.schema);
        for span in [entry.fresh_for, entry.kept_for, entry.cost, put.guard] {
            invocation.arg(micros(span));
        }
        invocation.arg(body);
        Call {
            invocation,
            read: |answer| Ok(from_redis_value::<i64>(answer)? == 1),
        }
    }

    pub(super) fn forget(&self, key: &str, version: u64, guard: Duration) -> Call<'_, ()> {
        let mut invocation = self.forget.key(key);
        invocation.arg(version).arg(micros(guard));
        Call {
            invocation,
            read: |_done| Ok(()),
        }
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros())
        .unwrap_or(SPAN_MAX)
        .min(SPAN_MAX)
}

fn found(answer: Value) -> Result<Found, ParsingError> {
    let parts: Vec<Value> = from_redis_value(answer)?;
    let mut parts = parts.into_iter();
    let mut next = || parts.next().ok_or("a lookup's answer is too short");
    let at = Stamp(from_redis_value(next()?)?);
    let Ok(kind) = next() else {
        return Ok(Found { at, kept: None });
    };
    let kind: String = from_redis_value(kind)?;
    let version = from_redis_value(next()?)?;
    let schema = from_redis_value(next()?)?;
    let mut span = || -> Result<Duration, ParsingError> {
        Ok(Duration::from_micros(from_redis_value(next()?)?))
    };
    let (fresh_for, kept_for, cost) = (span()?, span()?, span()?);
    let body: Vec<u8> = from_redis_value(next()?)?;
    let kept = Kept {
        body: (kind == "value").then_some(body),
        version,
        schema,
        fresh_for,
        kept_for,
        cost,
    };
    Ok(Found {
        at,
        kept: Some(kept),
    })
}
