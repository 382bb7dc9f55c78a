//! When a certificate ends, read from its DER form: nothing else of it is needed, and rustls keeps it to itself.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// Seconds since 1970 at which it ends; `None` for what is no certificate (RFC 5280, 4.1).
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    let (certificate, _) = content(certificate, SEQUENCE)?;
    let (mut fields, _) = content(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (validity, _) = content(fields, SEQUENCE)?;
    let (kind, ends, _) = element(element(validity)?.2)?;
    seconds(kind, std::str::from_utf8(ends).ok()?)
}

fn seconds(kind: u8, text: &str) -> Option<i64> {
    let text = match kind {
        // Two digits of the year: those from 50 on are of the last century.
        UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let at = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// What is in an element of this kind, and what follows it.
fn content(der: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(der)?;
    (found == kind).then_some((content, rest))
}

/// The kind, the content, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&kind, der) = der.split_first()?;
    let (&first, der) = der.split_first()?;
    let (length, der) = match first {
        0..=0x7f => (usize::from(first), der),
        0x81..=0x84 => {
            let (length, der) = der.split_at_checked(usize::from(first - 0x80))?;
            let length = length
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, der)
        }
        _ => return None,
    };
    let (content, rest) = der.split_at_checked(length)?;
    Some((kind, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms_of_time() {
        for year in [2031, 2049, 2050, 2199] {
            let mut params = rcgen::CertificateParams::new(vec!["shop".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 3, 1);
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let expected = params.not_after.unix_timestamp();
            assert_eq!(not_after(certificate.der()), Some(expected), "{year}");
            for length in 0..certificate.der().len() {
                let _never_panics = not_after(&certificate.der()[..length]);
            }
        }
        assert_eq!(not_after(b"\x30\x03\x30\x01\x30"), None);
    }
}
