//! Which headers a head has, found out in one walk through it.
//!
//! A search in a map of headers costs as much as reading a whole head of the usual length, and everything that stands
//! before a route looks for some header that hardly anybody sends.

use http::HeaderMap;

use crate::grpc::is_grpc_type;

/// The headers that are looked for before a route, as far as a head had them when it arrived.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Present {
    seen: u32,
    /// All headers together as they are sent, in bytes.
    pub(crate) bytes: usize,
}

/// A header that is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sought {
    Host,
    /// A second one.
    AnotherHost,
    Accept,
    AcceptEncoding,
    ContentEncoding,
    ContentType,
    Expect,
    /// A `content-type` of gRPC.
    Grpc,
    GrpcTimeout,
    IfNoneMatch,
    Priority,
    RequestId,
    RequestTimeout,
    Traceparent,
    TransferEncoding,
}

impl Present {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for (name, value) in headers {
            let name = name.as_str();
            // A colon, a space and the line's end.
            present.bytes += name.len() + value.len() + 4;
            let Some(sought) = Sought::named(name) else {
                continue;
            };
            // Of several the first one counts.
            let is_kind = matches!(sought, Sought::ContentType) && !present.has(sought);
            if is_kind && is_grpc_type(value.as_bytes()) {
                present.saw(Sought::Grpc);
            }
            present.saw(sought);
        }
        present
    }

    pub(crate) fn has(self, sought: Sought) -> bool {
        self.seen & (1 << sought as u32) != 0
    }

    fn saw(&mut self, sought: Sought) {
        let is_second = matches!(sought, Sought::Host) && self.has(sought);
        let sought = if is_second {
            Sought::AnotherHost
        } else {
            sought
        };
        self.seen |= 1 << sought as u32;
    }
}

impl Sought {
    /// By the length first: most names end here.
    fn named(name: &str) -> Option<Self> {
        let (named, sought) = match name.len() {
            4 => ("host", Self::Host),
            6 if name.starts_with('a') => ("accept", Self::Accept),
            6 => ("expect", Self::Expect),
            11 => ("traceparent", Self::Traceparent),
            12 if name.starts_with('c') => ("content-type", Self::ContentType),
            12 if name.starts_with('g') => ("grpc-timeout", Self::GrpcTimeout),
            12 => ("x-request-id", Self::RequestId),
            13 => ("if-none-match", Self::IfNoneMatch),
            15 => ("accept-encoding", Self::AcceptEncoding),
            16 => ("content-encoding", Self::ContentEncoding),
            17 if name.starts_with('t') => ("transfer-encoding", Self::TransferEncoding),
            17 => (crate::extract::TIMEOUT_HEADER, Self::RequestTimeout),
            18 => (crate::admission::HEADER, Self::Priority),
            _ => return None,
        };
        (name == named).then_some(sought)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each name that is looked for, and what it is.
    const ALL: [(&str, Sought); 13] = [
        ("host", Sought::Host),
        ("accept", Sought::Accept),
        ("accept-encoding", Sought::AcceptEncoding),
        ("content-encoding", Sought::ContentEncoding),
        ("content-type", Sought::ContentType),
        ("expect", Sought::Expect),
        ("grpc-timeout", Sought::GrpcTimeout),
        ("if-none-match", Sought::IfNoneMatch),
        ("x-request-priority", Sought::Priority),
        ("x-request-id", Sought::RequestId),
        ("x-request-timeout", Sought::RequestTimeout),
        ("traceparent", Sought::Traceparent),
        ("transfer-encoding", Sought::TransferEncoding),
    ];

    #[test]
    fn each_header_is_found_and_no_other_for_it() {
        for (name, sought) in ALL {
            let mut headers = HeaderMap::new();
            headers.insert(name, "value".parse().unwrap());
            // Of the same lengths, and not looked for.
            headers.insert(
                "x".repeat(name.len()).parse::<http::HeaderName>().unwrap(),
                "y".parse().unwrap(),
            );
            let present = Present::of(&headers);
            for (other, of_other) in ALL {
                assert_eq!(present.has(of_other), other == name, "{name} {other}");
            }
            assert!(present.has(sought) && !present.has(Sought::AnotherHost));
            assert_eq!(present.bytes, 2 * (name.len() + 4) + "value".len() + 1);
        }
    }

    #[test]
    fn a_call_is_known_by_its_first_content_type() {
        for (kinds, is_call) in [
            (&["application/grpc"][..], true),
            (&["application/grpc+proto", "text/plain"], true),
            (&["text/plain", "application/grpc"], false),
            (&["application/grpc-web"], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for kind in kinds {
                headers.append("content-type", kind.parse().unwrap());
            }
            assert_eq!(
                Present::of(&headers).has(Sought::Grpc),
                is_call,
                "{kinds:?}"
            );
            assert_eq!(crate::grpc::is_grpc(&headers), is_call, "{kinds:?}");
        }
    }

    #[test]
    fn a_second_host_is_noticed() {
        let mut headers = HeaderMap::new();
        headers.append("host", "a".parse().unwrap());
        headers.append("host", "b".parse().unwrap());
        assert!(Present::of(&headers).has(Sought::AnotherHost));
    }
}
