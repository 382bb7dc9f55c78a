//! Access tokens that are none.

use super::cases::{Case, Who};

/// `{"typ":"at+jwt","alg":"none"}` and claims of an administrator, unsigned.
const UNSIGNED: &str = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInNjb3BlIjoiYWRtaW46KiIsImV4cCI6NDEwMjQ0NDgwMH0.";

pub(super) fn rows() -> Vec<Case> {
    let long = format!("Bearer {}", "a".repeat(10_000));
    let values = [
        ("no token", None),
        ("an empty token", Some("Bearer ")),
        ("a token that is nonsense", Some("Bearer nonsense")),
        ("a token of three dots", Some("Bearer ...")),
        ("an unsigned token", Some(UNSIGNED)),
        ("a tampered token", Some("Bearer {tampered-token}")),
        ("a refresh token", Some("Bearer {refresh}")),
        ("a token without its scheme", Some("{token}")),
        ("another scheme", Some("Basic YWRtaW46YWRtaW4=")),
        ("two tokens", Some("Bearer {token} {token}")),
        ("a token of 10,000 letters", Some(long.as_str())),
    ];
    let mut rows = Vec::new();
    for (name, value) in values {
        for path in ["/users/me", "/orders"] {
            let mut case = Case::get(&format!("{name} for {path}"), path).by(Who::Anyone);
            if let Some(value) = value {
                let value = if value == UNSIGNED {
                    format!("Bearer {value}")
                } else {
                    value.to_owned()
                };
                case = case.with("authorization", &value);
            }
            rows.push(case.is(401, "UNAUTHENTICATED"));
        }
    }
    rows
}
