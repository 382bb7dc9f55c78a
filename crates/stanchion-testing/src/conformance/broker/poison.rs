//! Bodies that are no messages.

use super::stage::{QUIET, Source, Stage, key_of, publish_all, undecodable};
use crate::conformance::{Case, cases};

pub(super) const CASES: &[Case<Stage>] =
    cases![what_is_no_message_stops_nobody_and_is_counted_once_dealt_with,];

async fn what_is_no_message_stops_nobody_and_is_counted_once_dealt_with(stage: Stage) {
    let bodies: [&[u8]; 5] = [b"", b"{", b"\xff\xfe\x00", b"{\"message\":{}}", b"[1,2,3]"];
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let mut source = Source::new();
    let key = key_of(5);
    let mut sent = Vec::new();
    for body in bodies {
        stage.broker.put(&stage.prefix, 5, body).await;
        let next = source.next(&key);
        publish_all(&client, std::slice::from_ref(&next)).await;
        sent.push(next);
    }
    member.take_all(&sent).await;
    member.quiet(QUIET).await;
    let counted = undecodable(&client);
    assert_eq!(counted, bodies.len() as u64, "each is counted, once");
    let wait = stage.promises.redelivers_after.unwrap_or_default();
    member.quiet(wait + QUIET).await;
    assert_eq!(undecodable(&client), counted, "it came again");
}
