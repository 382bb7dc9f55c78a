use http::HeaderMap;
use http::header::ACCEPT;

use crate::present::{Present, Sought};

/// More media ranges than this are not looked at.
const RANGES_MAX: usize = 64;

/// What a client takes as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accept {
    /// JSON, in the envelope.
    pub(crate) json: bool,
    /// Errors as RFC 9457.
    pub(crate) problem: bool,
    /// Server-sent events.
    pub(crate) events: bool,
    /// The call is a gRPC one, and so is every answer to it.
    pub(crate) grpc: bool,
}

impl Accept {
    /// From all `Accept` headers; none means everything.
    pub(crate) fn of(headers: &HeaderMap, present: Present) -> Self {
        let mut accept = Self {
            json: false,
            problem: false,
            events: false,
            grpc: present.has(Sought::Grpc),
        };
        if !present.has(Sought::Accept) {
            (accept.json, accept.events) = (true, true);
            return accept;
        }
        let mut all = headers.get_all(ACCEPT).iter();
        // As most say.
        if let (Some(value), None) = (all.next(), all.next())
            && value == "*/*"
        {
            (accept.json, accept.events) = (true, true);
            return accept;
        }
        let mut any = false;
        let values = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok());
        for range in values.flat_map(|value| value.split(',')).take(RANGES_MAX) {
            any |= !range.trim().is_empty();
            accept.add(range);
        }
        // Whoever asks for problems in that form takes other answers in their usual one.
        accept.json |= accept.problem || !any;
        accept.events |= !any;
        accept
    }

    fn add(&mut self, range: &str) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        if parts.any(is_zero_quality) {
            return;
        }
        let is = |names: &[&str]| names.iter().any(|one| name.eq_ignore_ascii_case(one));
        self.json |= is(&["*/*", "application/*", "application/json"]);
        self.problem |= is(&["application/problem+json"]);
        self.events |= is(&["*/*", "text/*", "text/event-stream"]);
    }
}

fn is_zero_quality(parameter: &str) -> bool {
    parameter
        .strip_prefix("q=")
        .and_then(|quality| quality.trim().parse::<f32>().ok())
        .is_some_and(|quality| quality <= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: Option<&str>) -> (bool, bool, bool) {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(ACCEPT, value.parse().unwrap());
        }
        let Accept {
            json,
            problem,
            events,
            ..
        } = Accept::of(&headers, Present::of(&headers));
        (json, problem, events)
    }

    #[test]
    fn what_a_client_takes_is_read_from_its_ranges() {
        let cases = [
            (None, (true, false, true)),
            (Some(""), (true, false, true)),
            (Some("*/*"), (true, false, true)),
            (Some("application/json"), (true, false, false)),
            (Some("application/problem+json"), (true, true, false)),
            (Some("text/html, application/*;q=0.8"), (true, false, false)),
            (Some("text/event-stream"), (false, false, true)),
            (
                Some("application/json;q=0, text/plain"),
                (false, false, false),
            ),
            (Some("image/png"), (false, false, false)),
        ];
        for (value, expected) in cases {
            assert_eq!(accept(value), expected, "{value:?}");
        }
    }
}
