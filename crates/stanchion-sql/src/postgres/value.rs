use std::error::Error;

use bytes::{BufMut, BytesMut};
use jiff::Timestamp;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::Value;
use crate::value::from_microseconds;

/// Where PostgreSQL's times begin, 2000-01-01, in microseconds since 1970.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

type Failure = Box<dyn Error + Sync + Send>;

/// Bound by the type the server wants, so that one number fits `int2` to `int8` and NULL needs no type.
impl ToSql for Value {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match (self, wanted) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Bool(value), &Type::BOOL) => value.to_sql(wanted, out),
            (Self::I64(number), &Type::INT8) => number.to_sql(wanted, out),
            (Self::I64(number), &Type::INT4) => i32::try_from(*number)?.to_sql(wanted, out),
            (Self::I64(number), &Type::INT2) => i16::try_from(*number)?.to_sql(wanted, out),
            (Self::I64(number), &Type::FLOAT8) => (*number as f64).to_sql(wanted, out),
            (Self::I64(number), &Type::NUMERIC) => numeric_to_sql(*number, out),
            (Self::F64(number), &Type::FLOAT8) => number.to_sql(wanted, out),
            (Self::F64(number), &Type::FLOAT4) => (*number as f32).to_sql(wanted, out),
            (Self::Text(text), &Type::JSON) => text_to_sql(text, out),
            (Self::Text(text), &Type::JSONB) => {
                out.put_u8(1);
                text_to_sql(text, out)
            }
            (Self::Text(text), _) if is_text(wanted) => text_to_sql(text, out),
            (Self::Bytes(bytes), &Type::BYTEA) => bytes.to_sql(wanted, out),
            (Self::Uuid(id), &Type::UUID) => id.to_sql(wanted, out),
            (Self::Timestamp(at), &Type::TIMESTAMPTZ) => {
                (at.as_microsecond() - EPOCH_MICROS).to_sql(&Type::INT8, out)
            }
            (Self::Json(json), &Type::JSON | &Type::JSONB) => json.to_sql(wanted, out),
            (Self::Json(json), _) if is_text(wanted) => text_to_sql(&json.to_string(), out),
            _ => Err(format!("{} does not fit a column of type {wanted}", self.kind()).into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// What came back, by the type the server says it is.
pub(super) struct Found(pub(super) Value);

impl<'a> FromSql<'a> for Found {
    fn from_sql(found: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        let value = match *found {
            Type::BOOL => Value::Bool(bool::from_sql(found, raw)?),
            Type::INT2 => Value::I64(i16::from_sql(found, raw)?.into()),
            Type::INT4 => Value::I64(i32::from_sql(found, raw)?.into()),
            Type::INT8 => Value::I64(i64::from_sql(found, raw)?),
            Type::OID => Value::I64(u32::from_sql(found, raw)?.into()),
            Type::FLOAT4 => Value::F64(f32::from_sql(found, raw)?.into()),
            Type::FLOAT8 => Value::F64(f64::from_sql(found, raw)?),
            Type::NUMERIC => numeric(raw)?,
            Type::BYTEA => Value::Bytes(raw.to_vec()),
            Type::UUID => Value::Uuid(Uuid::from_sql(found, raw)?),
            Type::TIMESTAMPTZ => Value::Timestamp(timestamp(raw)?),
            Type::VOID => Value::Null,
            Type::JSON => Value::Text(text(raw)?),
            // The first byte is the format's version.
            Type::JSONB => Value::Text(text(raw.get(1..).unwrap_or_default())?),
            ref other if is_text(other) => Value::Text(text(raw)?),
            ref other => {
                return Err(
                    format!("columns of type {other} are not read: cast it to text").into(),
                );
            }
        };
        Ok(Self(value))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Text or JSON, where the driver has it.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl<'a> FromSql<'a> for Text<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(Self(std::str::from_utf8(raw)?))
    }

    fn accepts(found: &Type) -> bool {
        *found == Type::JSON || is_text(found)
    }
}

/// A time.
pub(crate) struct Time(pub(crate) Timestamp);

impl<'a> FromSql<'a> for Time {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        timestamp(raw).map(Self)
    }

    fn accepts(found: &Type) -> bool {
        *found == Type::TIMESTAMPTZ
    }
}

fn is_text(kind: &Type) -> bool {
    matches!(
        *kind,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN
    )
}

fn timestamp(raw: &[u8]) -> Result<Timestamp, Failure> {
    let micros = i64::from_sql(&Type::INT8, raw)?;
    let micros = micros
        .checked_add(EPOCH_MICROS)
        .filter(|_| micros != i64::MIN);
    let micros = micros.ok_or("an infinite time is not read")?;
    Ok(from_microseconds(micros)?)
}

fn text(raw: &[u8]) -> Result<String, Failure> {
    Ok(std::str::from_utf8(raw)?.to_owned())
}

fn text_to_sql(text: &str, out: &mut BytesMut) -> Result<IsNull, Failure> {
    out.put_slice(text.as_bytes());
    Ok(IsNull::No)
}

const NUMERIC_NEGATIVE: u16 = 0x4000;

/// `sum(bigint)` is a numeric: whole ones that fit are read as [`Value::I64`], others as [`Value::F64`].
///
/// The wire has base-10,000 digits: count, weight of the first, sign, digits after the point, then the digits.
fn numeric(raw: &[u8]) -> Result<Value, Failure> {
    let words: Vec<u16> = raw
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect();
    let [_, weight, sign, _, digits @ ..] = words.as_slice() else {
        return Err("a numeric is too short".into());
    };
    if !matches!(*sign, 0 | NUMERIC_NEGATIVE) {
        return Ok(Value::F64(f64::NAN));
    }
    let weight = i32::from(*weight as i16);
    let factor = if *sign == NUMERIC_NEGATIVE { -1 } else { 1 };
    if digits.len() as i32 <= weight + 1 {
        let mut whole: i128 = 0;
        for place in 0..=weight.min(8) {
            let digit = digits.get(place as usize).copied().unwrap_or(0);
            whole = whole * 10_000 + i128::from(digit);
        }
        if weight <= 8
            && let Ok(number) = i64::try_from(whole * factor)
        {
            return Ok(Value::I64(number));
        }
    }
    let mut number = 0.0;
    for (place, digit) in digits.iter().enumerate() {
        number += f64::from(*digit) * 10_000f64.powi(weight - place as i32);
    }
    if digits.is_empty() {
        return Ok(Value::I64(0));
    }
    Ok(Value::F64(number * factor as f64))
}

fn numeric_to_sql(number: i64, out: &mut BytesMut) -> Result<IsNull, Failure> {
    let mut digits = Vec::new();
    let mut rest = number.unsigned_abs();
    while rest > 0 {
        digits.push(u16::try_from(rest % 10_000)?);
        rest /= 10_000;
    }
    out.put_u16(u16::try_from(digits.len())?);
    out.put_i16(i16::try_from(digits.len())? - 1);
    out.put_u16(if number < 0 { NUMERIC_NEGATIVE } else { 0 });
    out.put_u16(0);
    for digit in digits.iter().rev() {
        out.put_u16(*digit);
    }
    Ok(IsNull::No)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_written_and_read_and_no_infinite_one() {
        let cut = |at: Timestamp| from_microseconds(at.as_microsecond()).unwrap();
        for at in [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH] {
            let at = cut(at);
            let mut raw = BytesMut::new();
            let written = Value::Timestamp(at).to_sql(&Type::TIMESTAMPTZ, &mut raw);
            written.unwrap();
            assert_eq!(timestamp(&raw).unwrap(), at);
        }
        for infinite in [i64::MIN, i64::MAX] {
            assert!(timestamp(&infinite.to_be_bytes()).is_err());
        }
    }

    #[test]
    fn a_whole_numeric_is_a_number_again() {
        for number in [0, 1, -1, 9_999, 10_000, 100_000_000, i64::MAX, i64::MIN] {
            let mut raw = BytesMut::new();
            numeric_to_sql(number, &mut raw).unwrap();
            assert_eq!(numeric(&raw).unwrap(), Value::I64(number), "{number}");
        }
    }
}
