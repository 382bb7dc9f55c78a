//! What ties the form of the page to the browser that was shown it.

use http::header::{COOKIE, ORIGIN};
use http::{HeaderMap, HeaderValue, Uri};
use stanchion::auth::oauth::{OpaqueToken, Prefix};

use crate::application::Identity;

/// How long a page may lie open, in seconds.
const PAGE_KEPT: u32 = 3_600;

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

/// A random word that the browser keeps; the form has the same one.
pub(super) struct Cookie {
    secure: bool,
}

impl Cookie {
    pub(super) fn of(identity: &Identity) -> Self {
        let secure = identity.tokens.issuer().starts_with("https:");
        Self { secure }
    }

    /// Under this prefix a browser takes no cookie that another host or plain HTTP has set.
    fn name(&self) -> &'static str {
        match self.secure {
            true => "__Host-authorize",
            false => "authorize",
        }
    }

    pub(super) fn read(&self, headers: &HeaderMap) -> Option<OpaqueToken> {
        let values = headers.get_all(COOKIE).iter();
        let mut pairs = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = pairs.find(|(name, _)| *name == self.name())?;
        OpaqueToken::parse(Prefix::PAGE, value)
    }

    pub(super) fn set(&self, value: &OpaqueToken) -> HeaderValue {
        let (name, value) = (self.name(), value.expose());
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie =
            format!("{name}={value}; Path=/; Max-Age={PAGE_KEPT}; HttpOnly; SameSite=Lax{secure}");
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
