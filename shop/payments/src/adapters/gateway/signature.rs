//! Who may tell us something: checks `Stripe-Signature`.

use aws_lc_rs::hmac;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

/// How old, or how far ahead, a signed webhook may be, in seconds.
const REPLAY_WINDOW_SECONDS: i64 = 300;

/// The most signatures in one header: two while a secret is changed.
const SIGNATURES_MAX: usize = 8;

/// What webhooks are signed with.
#[derive(Clone)]
pub(crate) struct WebhookSecret(hmac::Key);

/// `t=SECONDS,v1=HEX[,v1=HEX…]`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    seconds: i64,
    candidates: Vec<Vec<u8>>,
}

impl WebhookSecret {
    pub(crate) fn new(secret: &SecretString) -> Self {
        let secret = secret.expose_secret().as_bytes();
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Whether one of the signatures is ours over this body, and made about now.
    ///
    /// The comparison takes the same time wherever two signatures differ.
    pub(crate) fn accepts(&self, signature: &Signature, body: &[u8], now: Timestamp) -> bool {
        let age = now.as_second().saturating_sub(signature.seconds);
        if age.saturating_abs() > REPLAY_WINDOW_SECONDS {
            return false;
        }
        let mut signed = format!("{}.", signature.seconds).into_bytes();
        signed.extend_from_slice(body);
        let matches = |tag: &Vec<u8>| hmac::verify(&self.0, &signed, tag).is_ok();
        signature.candidates.iter().any(matches)
    }
}

impl Signature {
    /// Reads the header's value; schemes other than `v1` are passed over.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut seconds = None;
        let mut candidates = Vec::new();
        for part in text.split(',') {
            match part.trim().split_once('=')? {
                ("t", value) => seconds = Some(value.parse().ok()?),
                ("v1", value) if candidates.len() < SIGNATURES_MAX => candidates.push(hex(value)?),
                _ => {}
            }
        }
        let seconds = seconds?;
        (!candidates.is_empty()).then_some(Self {
            seconds,
            candidates,
        })
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"type":"payment_intent.succeeded"}"#;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn accepts(header: &str, body: &[u8], now: i64) -> bool {
        let secret = WebhookSecret::new(&"whsec_one".into());
        Signature::parse(header).is_some_and(|signature| secret.accepts(&signature, body, at(now)))
    }

    fn sign(secret: &str, seconds: i64) -> String {
        shop_sandbox::signature(&secret.to_owned().into(), seconds, BODY)
    }

    #[test]
    fn a_signature_of_now_is_accepted() {
        assert!(accepts(&sign("whsec_one", 1_000), BODY, 1_000));
    }

    #[test]
    fn a_replay_is_refused_after_five_minutes() {
        assert!(accepts(&sign("whsec_one", 1_000), BODY, 1_300));
        assert!(!accepts(&sign("whsec_one", 1_000), BODY, 1_301));
        assert!(!accepts(&sign("whsec_one", 1_000), BODY, 699));
        assert!(!accepts(&sign("whsec_one", i64::MIN), BODY, 1_000));
    }

    #[test]
    fn another_body_secret_or_time_is_refused() {
        assert!(!accepts(&sign("whsec_one", 1_000), b"{}", 1_000));
        assert!(!accepts(&sign("whsec_two", 1_000), BODY, 1_000));
        let moved = sign("whsec_one", 1_000).replace("t=1000", "t=1001");
        assert!(!accepts(&moved, BODY, 1_000));
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let other = sign("whsec_two", 1_000);
        let own = sign("whsec_one", 1_000).replace("t=1000,", "");
        assert!(accepts(&format!("{other},v0=00,{own}"), BODY, 1_000));
    }

    #[test]
    fn headers_that_are_none_are_refused() {
        for header in [
            "",
            "t=1",
            "v1=00",
            "t=x,v1=00",
            "t=1,v1=0",
            "t=1,v1=zz",
            "nonsense",
        ] {
            assert_eq!(Signature::parse(header), None, "{header}");
        }
    }
}
