//! What ties the form of the page to the browser that was shown it, and a browser to who signed in with it before.

use http::header::{COOKIE, ORIGIN};
use http::{HeaderMap, HeaderValue, Uri};

use crate::application::{Identity, KNOWN_FOR};

/// How long a page may lie open, in seconds.
const PAGE_KEPT: i64 = 3_600;

/// Whether a browser says that the form is on a page of ours; one that says nothing is judged by the cookie alone.
pub(super) fn is_own_page(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text(ORIGIN.as_str()) else {
        return true;
    };
    let host = text("host").or(uri.authority().map(|host| host.as_str()));
    origin.split_once("://").map(|(_, host)| host) == host
}

/// What a browser keeps for us.
pub(super) struct Cookie {
    secure: bool,
    word: &'static str,
    /// For how long, in seconds.
    kept: i64,
}

impl Cookie {
    /// The random word that the form of the page has, too.
    pub(super) fn page(identity: &Identity) -> Self {
        Self::of(identity, "authorize", PAGE_KEPT)
    }

    /// By which the browser shows that somebody has signed in with it before; it lets nobody in.
    pub(super) fn device(identity: &Identity) -> Self {
        Self::of(identity, "device", KNOWN_FOR.as_secs())
    }

    fn of(identity: &Identity, word: &'static str, kept: i64) -> Self {
        let secure = identity.tokens.issuer().starts_with("https:");
        Self { secure, word, kept }
    }

    /// Under this prefix a browser takes no cookie that another host or plain HTTP has set.
    fn name(&self) -> String {
        let prefix = if self.secure { "__Host-" } else { "" };
        format!("{prefix}{}", self.word)
    }

    pub(super) fn read<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let values = headers.get_all(COOKIE).iter();
        let mut pairs = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let name = self.name();
        let (_, value) = pairs.find(|(known, _)| *known == name)?;
        Some(value)
    }

    /// A value of letters, digits, `-`, `_` and `.`, as all of ours are.
    pub(super) fn set(&self, value: &str) -> HeaderValue {
        let (name, kept) = (self.name(), self.kept);
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie =
            format!("{name}={value}; Path=/; Max-Age={kept}; HttpOnly; SameSite=Lax{secure}");
        let mut cookie = HeaderValue::from_str(&cookie).unwrap_or(HeaderValue::from_static(""));
        cookie.set_sensitive(true);
        cookie
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_of_our_own_may_send_the_form() {
        let judged = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            });
            is_own_page(&headers.collect(), &Uri::from_static("/oauth2/authorize"))
        };
        let host = ("host", "shop.example");
        assert!(judged(&[host, ("sec-fetch-site", "same-origin")]));
        assert!(judged(&[host, ("origin", "https://shop.example")]) && judged(&[host]));
        for other in ["cross-site", "same-site", "none", ""] {
            assert!(!judged(&[host, ("sec-fetch-site", other)]), "{other}");
        }
        for other in ["https://evil.example", "null", "https://shop.example.evil"] {
            assert!(!judged(&[host, ("origin", other)]), "{other}");
        }
    }
}
