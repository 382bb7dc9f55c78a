//! What a webhook's event tells about our payments.

use serde::Deserialize;
use serde_json::Value;

use super::answer::{Intent, Refund};
use crate::application::hear_gateway::Told;
use crate::application::ports::{IntentAnswer, RefundAnswer};
use crate::domain::payment::Action;

/// The most refunds of one event that are looked at.
const REFUNDS_MAX: usize = 100;

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

#[derive(Deserialize)]
struct Charge {
    refunds: Option<List>,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Value>,
}

/// What an event tells; nothing for kinds that we do not know and objects that are not ours.
///
/// The object's state counts, not the event's name: events come late and out of order.
pub(crate) fn told(body: &[u8]) -> Vec<Told> {
    let Ok(event) = serde_json::from_slice::<Event>(body) else {
        return Vec::new();
    };
    let object = event.data.object;
    match event.kind.as_str() {
        "charge.refunded" => refunds_of(object),
        kind if kind.starts_with("payment_intent.") => of_intent(object).into_iter().collect(),
        kind if kind.starts_with("refund.") => of_refund(object).into_iter().collect(),
        "charge.refund.updated" => of_refund(object).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn of_intent(object: Value) -> Option<Told> {
    let intent = Intent::deserialize(object).ok()?;
    let payment_id = intent.payment_id()?;
    let action = match (intent.answer().ok()?, intent.error_code()) {
        (IntentAnswer::Authorized { .. }, Some(code)) => Action::RecordCaptureFailed {
            code: code.to_owned(),
        },
        (answer, _) => answer.into(),
    };
    Some(Told {
        payment_id,
        intent: intent.id,
        action,
    })
}

fn refunds_of(object: Value) -> Vec<Told> {
    let charge = Charge::deserialize(object).ok();
    let refunds = charge.and_then(|charge| charge.refunds);
    let refunds = refunds.map(|list| list.data).unwrap_or_default();
    refunds
        .into_iter()
        .take(REFUNDS_MAX)
        .filter_map(of_refund)
        .collect()
}

fn of_refund(object: Value) -> Option<Told> {
    let refund = Refund::deserialize(object).ok()?;
    let (payment_id, refund_id) = refund.ids()?;
    let action = match refund.answer() {
        RefundAnswer::Succeeded => Action::RecordRefunded { refund_id },
        RefundAnswer::Failed { code } => Action::RecordRefundFailed { refund_id, code },
        RefundAnswer::Pending => return None,
    };
    Some(Told {
        payment_id,
        intent: refund.payment_intent?,
        action,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PAYMENT: &str = "01900000-0000-7000-8000-000000000001";

    fn intent(status: &str, error: Option<&str>) -> Vec<Told> {
        let event = json!({
            "type": "payment_intent.whatever",
            "data": {"object": {
                "id": "pi_1",
                "status": status,
                "last_payment_error": error.map(|code| json!({"code": code})),
                "metadata": {"payment_id": PAYMENT},
            }},
        });
        told(event.to_string().as_bytes())
    }

    #[test]
    fn the_state_counts_and_not_the_events_name() {
        let cases = [
            (
                intent("requires_capture", None),
                Action::RecordAuthorized {
                    intent: "pi_1".into(),
                },
            ),
            (
                intent("succeeded", None),
                Action::RecordCaptured {
                    intent: "pi_1".into(),
                },
            ),
            (intent("canceled", None), Action::RecordVoided),
            (
                intent("requires_payment_method", Some("expired_card")),
                Action::RecordDeclined {
                    code: "expired_card".into(),
                },
            ),
            (
                intent("requires_capture", Some("card_declined")),
                Action::RecordCaptureFailed {
                    code: "card_declined".into(),
                },
            ),
        ];
        for (told, expected) in cases {
            assert_eq!(
                told.into_iter().map(|told| told.action).collect::<Vec<_>>(),
                [expected]
            );
        }
    }

    #[test]
    fn what_is_unknown_or_not_ours_tells_nothing() {
        assert!(intent("processing", None).is_empty());
        for body in [
            "",
            "[]",
            "{}",
            r#"{"type":"customer.created","data":{"object":{}}}"#,
            r#"{"type":"payment_intent.succeeded","data":{"object":{"id":"pi_9","status":"succeeded"}}}"#,
        ] {
            assert!(told(body.as_bytes()).is_empty(), "{body}");
        }
    }
}
