//! What proxies say of whom they speak for: `Forwarded` (RFC 7239), or `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};

use crate::service::ForwardedBy;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The hops as they are told, the nearest first; `None` for one that names no address (`unknown`, `_hidden`, nonsense).
///
/// One of the two headers, by the setting: a proxy writes one and may hand on whatever a client wrote into the other.
pub(super) fn hops(
    headers: &HeaderMap,
    by: ForwardedBy,
) -> impl Iterator<Item = Option<IpAddr>> + '_ {
    let is_plain = by == ForwardedBy::XForwardedFor;
    let name = if is_plain { X_FORWARDED_FOR } else { FORWARDED };
    // Several headers of one name are one list (RFC 9110, 5.3).
    let lists: Vec<&[u8]> = headers
        .get_all(name)
        .iter()
        .map(http::HeaderValue::as_bytes)
        .collect();
    lists.into_iter().rev().flat_map(move |list| {
        list.rsplit(|byte| *byte == b',').map(move |hop| {
            let hop = std::str::from_utf8(hop).ok()?.trim();
            if is_plain { node(hop) } else { of_element(hop) }
        })
    })
}

/// The `for` of an element such as `for="[2001:db8::9]:443";proto=https`.
fn of_element(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    node(value.trim().trim_matches('"'))
}

/// An address, with its port or without one.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare.parse().ok();
    let address = address.or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    use ForwardedBy::{Forwarded, XForwardedFor};

    fn told(by: ForwardedBy, headers: &[(&'static str, &str)]) -> Vec<Option<IpAddr>> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        hops(&map, by).collect()
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn the_nearest_hop_comes_first_over_all_headers_of_the_name() {
        let headers = [
            ("x-forwarded-for", "1.1.1.1, 2.2.2.2"),
            ("x-forwarded-for", "3.3.3.3"),
        ];
        assert_eq!(
            told(XForwardedFor, &headers),
            [ip("3.3.3.3"), ip("2.2.2.2"), ip("1.1.1.1")]
        );
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_writes_it() {
        let headers = [(
            "forwarded",
            "for=192.0.2.60;proto=http;by=203.0.113.43, For=\"[2001:db8:cafe::17]:4711\", for=unknown, for=_hidden",
        )];
        let expected = [None, None, ip("2001:db8:cafe::17"), ip("192.0.2.60")];
        assert_eq!(told(Forwarded, &headers), expected);
    }

    #[test]
    fn the_header_that_the_proxy_does_not_write_says_nothing() {
        let headers = [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "1.1.1.1")];
        assert_eq!(told(XForwardedFor, &headers), [ip("1.1.1.1")]);
        assert_eq!(told(Forwarded, &headers), [ip("6.6.6.6")]);
        assert_eq!(told(Forwarded, &headers[1..]), []);
    }

    #[test]
    fn what_names_no_address_is_no_hop_that_can_be_believed() {
        for text in [
            "",
            "nonsense",
            "1.2.3",
            "1.2.3.4.5",
            "[::1",
            "::1]",
            "localhost",
            "1.2.3.4;drop",
        ] {
            assert_eq!(
                told(XForwardedFor, &[("x-forwarded-for", text)]),
                [None],
                "{text}"
            );
        }
        let mapped = [("x-forwarded-for", "::ffff:10.0.0.1")];
        assert_eq!(told(XForwardedFor, &mapped), [ip("10.0.0.1")]);
    }
}
