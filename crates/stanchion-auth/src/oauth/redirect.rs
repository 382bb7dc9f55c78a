use std::fmt;
use std::str::FromStr;

use super::encode;

/// The longest redirect URI, in bytes.
const BYTES_MAX: usize = 1024;

/// Hosts for which plain `http` is fine: nothing of it leaves the machine (RFC 8252, 7.3).
const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// Where an authorization answer may be sent: registered before, and compared character by character (RFC 9700, 2.1).
///
/// `https`, `http` on a loopback host, or an app's own scheme with a dot in it, such as `com.example.app:/done`. No
/// fragment, no user, nothing but printable ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectUri(String);

/// A text that nothing is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a redirect URI is absolute, without fragment, and https, or http on a loopback host, or an app's own scheme with a \
     dot in it such as com.example.app:/done"
)]
pub struct BadRedirectUri;

impl RedirectUri {
    /// As it was registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// With these parameters added to its query.
    #[must_use]
    pub fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut uri = self.0.clone();
        for (name, value) in parameters {
            uri.push(if uri.contains('?') { '&' } else { '?' });
            uri.push_str(name);
            uri.push('=');
            uri.push_str(&encode(value));
        }
        uri
    }

    /// What a page's `form-action` must allow for a form to end there: its origin, or an app's scheme.
    #[must_use]
    pub fn source(&self) -> &str {
        match self.0.split_once("://") {
            Some((scheme, rest)) => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                &self.0[..scheme.len() + 3 + end]
            }
            None => self
                .0
                .split_inclusive(':')
                .next()
                .unwrap_or(self.0.as_str()),
        }
    }
}

impl FromStr for RedirectUri {
    type Err = BadRedirectUri;

    fn from_str(text: &str) -> Result<Self, BadRedirectUri> {
        let printable =
            |byte: u8| (0x21..=0x7e).contains(&byte) && !b"#\\\"<>^`{|}".contains(&byte);
        if text.len() > BYTES_MAX || !text.bytes().all(printable) {
            return Err(BadRedirectUri);
        }
        let (scheme, rest) = text.split_once(':').ok_or(BadRedirectUri)?;
        let fits = match scheme {
            "https" => host_of(rest).is_some(),
            "http" => host_of(rest).is_some_and(|host| LOOPBACK.contains(&host)),
            own => is_own(own) && rest.starts_with('/'),
        };
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadRedirectUri)
        }
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The host after `scheme:`, if host and port are plain ones.
fn host_of(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix("//")?;
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    let colon = match authority.rfind(']') {
        Some(bracket) => authority[bracket..].find(':').map(|at| bracket + at),
        None => authority.find(':'),
    };
    let (host, port) = match colon {
        Some(at) => (&authority[..at], Some(&authority[at + 1..])),
        None => (authority, None),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let is_name = !host.is_empty() && host.bytes().all(plain);
    let digits = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    ((is_name || host == "[::1]") && port.is_none_or(digits)).then_some(host)
}

/// A reversed domain name, so that it belongs to somebody (RFC 8252, 7.1).
fn is_own(scheme: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    scheme.contains('.')
        && scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_safe_to_send_an_answer_to_is_one() {
        for fine in [
            "https://app.example/done",
            "https://app.example:8443/done?tab=1",
            "http://127.0.0.1:5173/done",
            "http://[::1]:5173/done",
            "http://localhost/done",
            "com.example.app:/done",
        ] {
            assert!(fine.parse::<RedirectUri>().is_ok(), "{fine}");
        }
        for odd in [
            "",
            "/done",
            "app.example/done",
            "http://app.example/done",
            "http://127.0.0.1.evil.example/done",
            "http://127.0.0.1@evil.example/done",
            "https://user@app.example/done",
            "https://app.example/done#there",
            "https://",
            "https:///done",
            "https://app.example:99999/done",
            "https://app example/done",
            "https://app.example\\evil.example",
            "https://app.example;script-src/done",
            "https://äpp.example/done",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "myapp:/done",
            "com.example.app:done",
        ] {
            assert_eq!(odd.parse::<RedirectUri>(), Err(BadRedirectUri), "{odd}");
        }
    }

    #[test]
    fn an_answer_is_added_to_its_query() {
        let bare: RedirectUri = "https://app.example/done".parse().unwrap();
        assert_eq!(
            bare.with(&[("code", "a b"), ("state", "&x=y")]),
            "https://app.example/done?code=a%20b&state=%26x%3Dy"
        );
        let with_query: RedirectUri = "https://app.example/done?tab=1".parse().unwrap();
        let answered = with_query.with(&[("code", "c")]);
        assert_eq!(answered, "https://app.example/done?tab=1&code=c");
    }

    #[test]
    fn a_form_may_end_at_its_origin_and_nowhere_else() {
        for (uri, source) in [
            (
                "https://app.example:8443/done?x=1",
                "https://app.example:8443",
            ),
            ("http://127.0.0.1:5173", "http://127.0.0.1:5173"),
            ("com.example.app:/done", "com.example.app:"),
        ] {
            let uri: RedirectUri = uri.parse().unwrap();
            assert_eq!(uri.source(), source);
        }
    }
}
