//! Headers with a meaning, without one.

use super::cases::Case;

pub(super) fn rows() -> Vec<Case> {
    let mut rows = Vec::new();
    for timeout in [
        "abc",
        "5",
        "-1s",
        "1.5s",
        "1h30",
        "99999999999999999999s",
        "",
    ] {
        let name = format!("a timeout of {timeout:?}");
        rows.push(
            Case::get(&name, "/products")
                .with("x-request-timeout", timeout)
                .is(400, "INVALID_PARAMETER"),
        );
    }
    for token in ["nonsense", "e30", "{tampered-cursor}", "{token}"] {
        let name = format!("the consistency token {token}");
        let case = Case::get(&name, "/orders").with("consistency-token", token);
        rows.push(case.is(400, "INVALID_CONSISTENCY_TOKEN"));
    }
    for accept in ["image/png", "application/xml", "application/json;q=0"] {
        rows.push(
            Case::get(accept, "/products")
                .with("accept", accept)
                .is(406, "NOT_ACCEPTABLE"),
        );
    }
    rows.push(
        Case::get("Last-Event-ID that is none", "/orders/{order}/watch")
            .with("last-event-id", "the last one")
            .is(400, "INVALID_PARAMETER"),
    );
    rows
}
