use std::time::Duration;

use http::HeaderMap;

use crate::Problem;

/// gRPC allows no more.
const DIGITS_MAX: usize = 8;

/// The time that a caller gives its call: `grpc-timeout`, 1 to 8 digits and a unit of `H`, `M`, `S`, `m`, `u`, `n`.
///
/// # Errors
/// `INVALID_ARGUMENT` for anything else: a deadline that is not understood must not be taken for none.
pub(crate) fn requested(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(parse);
    let refused = || Problem::invalid_parameter("grpc-timeout", "must look like 250m or 2S");
    parsed.map(Some).ok_or_else(refused)
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || !(1..=DIGITS_MAX).contains(&digits.len()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_up_to_eight_digits_and_a_unit() {
        for (text, expected) in [
            ("250m", Some(Duration::from_millis(250))),
            ("2S", Some(Duration::from_secs(2))),
            ("1H", Some(Duration::from_secs(3600))),
            ("5M", Some(Duration::from_secs(300))),
            ("0n", Some(Duration::ZERO)),
            ("99999999u", Some(Duration::from_micros(99_999_999))),
            ("999999999u", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("1.5S", None),
            ("1s", None),
            ("1€", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
