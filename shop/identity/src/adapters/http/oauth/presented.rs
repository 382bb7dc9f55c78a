//! How a client says who it is.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::SecretString;
use stanchion::auth::oauth::{Basic, OAuthError, Parameters, Refused};

use crate::application::oauth::Presented;

const TWO_WAYS: Refused =
    OAuthError::InvalidRequest.because("the client authenticates in more than one way");
const NO_WAY: Refused = OAuthError::InvalidClient
    .because("the client does not say who it is, or not in a way that is read here");

/// From `Authorization: Basic` or the form, never from both (RFC 6749, 2.3).
pub(super) fn presented(headers: &HeaderMap, form: &Parameters) -> Result<Presented, Refused> {
    let (id, secret) = (form.get("client_id"), form.get("client_secret"));
    if form.get("client_assertion").is_some() {
        return Err(NO_WAY);
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(Presented {
            id: id.ok_or(NO_WAY)?.to_owned(),
            secret: secret.map(SecretString::from),
        });
    };
    if values.next().is_some() || secret.is_some() {
        return Err(TWO_WAYS);
    }
    let basic = value.to_str().ok().and_then(Basic::read).ok_or(NO_WAY)?;
    if id.is_some_and(|id| id != basic.id) {
        return Err(TWO_WAYS);
    }
    Ok(Presented {
        id: basic.id,
        secret: Some(basic.secret),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    // a:b
    const BASIC: &str = "Basic YTpi";

    fn error(authorization: &[&'static str], form: &str) -> Option<OAuthError> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        let form = Parameters::parse(form.as_bytes()).unwrap();
        presented(&headers, &form)
            .err()
            .map(|refused| refused.error)
    }

    #[test]
    fn a_client_says_who_it_is_in_one_way() {
        assert_eq!(error(&[BASIC], ""), None);
        assert_eq!(error(&[BASIC], "client_id=a"), None);
        assert_eq!(error(&[], "client_id=a"), None);
        assert_eq!(error(&[], "client_id=a&client_secret=b"), None);
        let (request, client) = (OAuthError::InvalidRequest, OAuthError::InvalidClient);
        for (authorization, form, refused) in [
            (&[BASIC][..], "client_id=a&client_secret=b", request),
            (&[BASIC], "client_secret=b", request),
            (&[BASIC], "client_id=other", request),
            (&[BASIC, BASIC], "", request),
            (&[], "", client),
            (&[], "client_secret=b", client),
            (&["Bearer x"], "client_id=a", client),
            (&["Basic !"], "client_id=a", client),
            (&[], "client_id=a&client_assertion=x", client),
        ] {
            assert_eq!(
                error(authorization, form),
                Some(refused),
                "{authorization:?} {form}"
            );
        }
    }
}
