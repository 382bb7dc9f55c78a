//! A message as the server keeps it: an envelope as JSON or a bundle of them, and headers for whoever looks at the server.

use async_nats::header::{HeaderMap, NATS_MESSAGE_ID};
use bytes::Bytes;
use stanchion_messaging::adapter::{self, CONTRACT, KEY, MESSAGE_ID, TRACE};
use stanchion_messaging::{BUNDLE, Bundle, Envelope, Link, Message, PARTITIONS, PublishError};

/// A header as text is at most so long; the body has everything.
const HEADER_BYTES_MAX: usize = 1024;

pub(crate) fn body(envelope: &Envelope) -> Result<Bytes, PublishError> {
    adapter::body(envelope, usize::MAX).map(Bytes::from)
}

pub(crate) fn headers(envelope: &Envelope) -> HeaderMap {
    let message = &envelope.message;
    let (transport, id) = (envelope.transport.to_string(), message.id.to_string());
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, transport.as_str());
    headers.insert(MESSAGE_ID, id.as_str());
    let texts = [
        (CONTRACT, Some(message.contract.as_str())),
        (KEY, Some(message.key.as_str())),
        (TRACE, message.metadata.trace.as_deref()),
    ];
    for (name, text) in texts {
        if let Some(text) = text.filter(|text| fits(text)) {
            headers.insert(name, text);
        }
    }
    headers
}

/// What tells a bundle: each of its messages has its own in the body.
pub(crate) fn bundle_headers(bundle: &Bundle) -> HeaderMap {
    let transport = bundle.transport.to_string();
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, transport.as_str());
    headers.insert(CONTRACT, BUNDLE);
    headers
}

/// A header ends at its line.
fn fits(text: &str) -> bool {
    text.len() <= HEADER_BYTES_MAX && !text.contains(char::is_control)
}

/// A delivered body as messages and links, or why it is none.
pub(crate) fn decode(body: &[u8], partition: u16) -> Result<Vec<(Message, Link)>, String> {
    let envelopes = Bundle::open(body).map_err(|error| error.to_string())?;
    envelopes
        .into_iter()
        .map(|it| linked(it, partition))
        .collect()
}

fn linked(envelope: Envelope, partition: u16) -> Result<(Message, Link), String> {
    if envelope.partition != partition || partition >= PARTITIONS {
        return Err(format!(
            "it says partition {} and came in {partition}",
            envelope.partition
        ));
    }
    let link = adapter::link(&envelope);
    Ok((envelope.message, link))
}
