//! A message as the server keeps it: an envelope as JSON or a bundle of them, and headers for whoever looks at the server.

use async_nats::header::{HeaderMap, NATS_MESSAGE_ID};
use bytes::Bytes;
use stanchion_messaging::adapter::{self, CONTRACT};
use stanchion_messaging::{BUNDLE, Bundle, Envelope, Link, Message, PARTITIONS, PublishError};

pub(crate) fn body(envelope: &Envelope) -> Result<Bytes, PublishError> {
    adapter::body(envelope, usize::MAX).map(Bytes::from)
}

pub(crate) fn headers(envelope: &Envelope) -> HeaderMap {
    let transport = envelope.transport.to_string();
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, transport.as_str());
    for (name, text) in adapter::headers(envelope) {
        headers.insert(name, text);
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
