//! The one page: who asks for what, a login, yes or no. No script; every value is escaped.

use std::fmt::Write;

use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use stanchion::auth::oauth::{OpaqueToken, Parameters, Prefix};
use stanchion::server::Html;

use super::paths;
use crate::application::oauth::{Asked, Authorization};
use crate::domain::scope;

/// What of the request comes again with the form, where it is checked again.
const REPEATED: [&str; 8] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];

const STYLE: &str = "
:root { color-scheme: light dark; font: 100%/1.5 system-ui, sans-serif; }
body { margin: 0; background: Canvas; color: CanvasText; }
main { max-width: 26rem; margin: 8vh auto; padding: 0 1.25rem 2rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
ul { padding-left: 1.25rem; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input { box-sizing: border-box; width: 100%; font: inherit; padding: .5rem .625rem; border: 1px solid #767676; border-radius: .375rem; }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.5rem; }
button { font: inherit; padding: .5rem 1rem; border-radius: .375rem; border: 1px solid #1a56c4; background: Canvas; color: CanvasText; cursor: pointer; }
button.yes { background: #1a56c4; color: #fff; }
:focus-visible { outline: 3px solid #d97706; outline-offset: 2px; }
.wrong { border-left: .25rem solid #b91c1c; padding: .5rem .75rem; margin: 1rem 0; }
.place { overflow-wrap: anywhere; font-weight: 600; }
";

/// What the user did wrong at the last try.
#[derive(Clone, Copy)]
pub(super) enum Wrong {
    Nothing,
    /// The login or the password, or the user may not log in: one sentence for all.
    Credentials,
    Busy,
    /// Too many tries failed, under that name or from that place.
    TooOften,
}

/// The page with the form.
pub(super) struct Page<'a> {
    pub(super) asked: &'a Asked,
    pub(super) authorization: &'a Authorization,
    pub(super) parameters: &'a Parameters,
    pub(super) csrf: &'a str,
    pub(super) login: &'a str,
    pub(super) wrong: Wrong,
}

impl Page<'_> {
    pub(super) fn answer(&self, status: StatusCode) -> Html {
        let client = escaped(&self.asked.client.plan.name);
        let title = format!("Sign in to let {client} have access");
        let place = self.asked.redirect_uri.source();
        html(
            status,
            &title,
            &self.body(&client),
            &format!("'self' {place}"),
        )
    }

    fn body(&self, client: &str) -> String {
        let mut asks = String::new();
        for asked in self.authorization.scopes.iter() {
            let meaning = escaped(&scope::meaning(asked));
            // Writing to a string does not fail.
            let _ = writeln!(asks, "<li>{meaning}</li>");
        }
        let mut hidden = String::new();
        let repeated = REPEATED.iter().copied();
        let values = repeated.filter_map(|name| Some((name, self.parameters.get(name)?)));
        for (name, value) in values.chain([("csrf", self.csrf)]) {
            let value = escaped(value);
            let _ = writeln!(
                hidden,
                "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"
            );
        }
        let (action, login) = (paths::AUTHORIZE, escaped(self.login));
        let place = escaped(self.asked.redirect_uri.source());
        let wrong = self.wrong.text();
        let described = match self.wrong {
            Wrong::Nothing => "",
            _ => " aria-describedby=\"wrong\"",
        };
        format!(
            "<h1>Sign in to let <q>{client}</q> have access</h1>\n\
             <p><q>{client}</q> asks to:</p>\n<ul>\n{asks}</ul>\n\
             <p>Afterwards you go on at <span class=\"place\">{place}</span>.</p>\n{wrong}\
             <form method=\"post\" action=\"{action}\">\n{hidden}\
             <label for=\"login\">E-mail address or username</label>\n\
             <input id=\"login\" name=\"login\" value=\"{login}\" autocomplete=\"username\" autocapitalize=\"none\" \
             spellcheck=\"false\" maxlength=\"255\" required{described}>\n\
             <label for=\"password\">Password</label>\n\
             <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required{described}>\n\
             <div class=\"buttons\">\n\
             <button class=\"yes\" name=\"decision\" value=\"allow\">Sign in and allow</button>\n\
             <button name=\"decision\" value=\"deny\" formnovalidate>Cancel</button>\n\
             </div>\n</form>\n"
        )
    }
}

impl Wrong {
    fn text(self) -> String {
        let text = match self {
            Self::Nothing => return String::new(),
            Self::Credentials => {
                "The login or the password is wrong, or the account may not sign in."
            }
            Self::Busy => "Too many people are signing in just now. Try again in a moment.",
            Self::TooOften => "Too many tries have failed. Wait a while before the next one.",
        };
        format!("<p class=\"wrong\" id=\"wrong\" role=\"alert\">{text}</p>\n")
    }
}

/// A page that says why nothing goes on here.
pub(super) fn dead_end(status: StatusCode, why: &str) -> Html {
    let body = format!(
        "<h1>This sign-in cannot go on</h1>\n<p class=\"wrong\" role=\"alert\">{}</p>\n\
         <p>Nothing was shared with anybody. Go back to where you came from and try again; if it happens again, tell \
         the people who run that application.</p>\n",
        escaped(why)
    );
    html(status, "This sign-in cannot go on", &body, "'none'")
}

/// A page that loads nothing, runs nothing, is framed by nobody, and whose form goes where `form_action` says.
fn html(status: StatusCode, title: &str, body: &str, form_action: &str) -> Html {
    // The style is let in by a word that is new each time.
    let nonce = OpaqueToken::generate(Prefix::PAGE);
    let nonce = nonce.expose();
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style nonce=\"{nonce}\">{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    );
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action {form_action}; frame-ancestors 'none'; base-uri 'none'"
    );
    let none = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    Html::page(status, page)
        .header(
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_str(&policy).unwrap_or(none),
        )
        // The form's own origin is how a browser tells that it is ours.
        .header(REFERRER_POLICY, HeaderValue::from_static("same-origin"))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text_in_the_page() {
        let odd = "<script>alert(\"&'1\")</script>";
        let text = escaped(odd);
        assert!(!text.contains(['<', '>', '"', '\'']), "{text}");
        assert_eq!(
            text,
            "&lt;script&gt;alert(&quot;&amp;&#39;1&quot;)&lt;/script&gt;"
        );
    }
}
