//! A message as brokers have it: the envelope as JSON, and headers for whoever looks at the broker.

use crate::{Envelope, Link, PublishError};

/// The header with the contract.
pub const CONTRACT: &str = "stanchion-contract";
/// The header with the key.
pub const KEY: &str = "stanchion-key";
/// The header with the message's id.
pub const MESSAGE_ID: &str = "stanchion-message-id";
/// The header with the trace of its cause.
pub const TRACE: &str = "traceparent";

/// A header's value has at most so many bytes: a broker's frame or server has a bound for all of them. The body has everything.
const HEADER_BYTES_MAX: usize = 1024;

/// The body, if it is not larger than the bound.
///
/// # Errors
/// [`PublishError::Refused`]: it is, or it is no JSON.
pub fn body(envelope: &Envelope, bytes_max: usize) -> Result<Vec<u8>, PublishError> {
    let body = serde_json::to_vec(envelope)
        .map_err(|error| PublishError::Refused(format!("it cannot be written as JSON: {error}")))?;
    let bytes = body.len();
    if bytes > bytes_max {
        let text = format!("the message is too large: {bytes} bytes of at most {bytes_max}");
        return Err(PublishError::Refused(text));
    }
    Ok(body)
}

/// The envelope, or what is wrong with the body.
///
/// # Errors
/// It is no message.
pub fn envelope(body: &[u8]) -> Result<Envelope, serde_json::Error> {
    super::json(body)
}

/// Name and value of each header, but for what is too long for one or has a line's end; the body has everything, too.
#[must_use]
pub fn headers(envelope: &Envelope) -> Vec<(&'static str, String)> {
    let message = &envelope.message;
    let mut headers = vec![
        (CONTRACT, message.contract.clone()),
        (KEY, message.key.clone()),
        (MESSAGE_ID, message.id.to_string()),
    ];
    headers.extend(message.metadata.trace.clone().map(|trace| (TRACE, trace)));
    headers.retain(|(_, text)| text.len() <= HEADER_BYTES_MAX && !text.contains(char::is_control));
    headers
}

/// A message's place among those of its partition and family.
#[must_use]
pub fn link(envelope: &Envelope) -> Link {
    Link {
        log: envelope.message.origin.log,
        partition: envelope.partition,
        prev: envelope.prev,
        position: envelope.message.origin.position,
    }
}
