//! `Stripe-Signature: t=SECONDS,v1=HEX`, an HMAC-SHA256 over `SECONDS.BODY`.

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};

/// The value of `Stripe-Signature` for a body sent at `seconds`.
///
/// ```
/// let secret = "whsec_test".to_owned().into();
/// let signature = shop_sandbox::signature(&secret, 1_800_000_000, b"{}");
/// assert!(signature.starts_with("t=1800000000,v1="));
/// ```
#[must_use]
pub fn signature(secret: &SecretString, seconds: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    let hex: String = context
        .sign()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("t={seconds},v1={hex}")
}
