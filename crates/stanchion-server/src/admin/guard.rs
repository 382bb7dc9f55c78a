use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use stanchion_auth::secret::equal;
use stanchion_config::{ExposeSecret, SecretString};

use super::refused;
use crate::net::peer;
use crate::service::AdminSettings;

/// Who may use the port: whoever is here, or knows the token; no page of another site.
#[derive(Clone)]
pub(super) struct Guard(Arc<Inner>);

struct Inner {
    token: Option<SecretString>,
    hosts: Vec<String>,
}

impl Guard {
    pub(super) fn new(settings: &AdminSettings) -> Self {
        let mut hosts = settings.hosts.clone();
        hosts.push("localhost".to_owned());
        Self(Arc::new(Inner {
            token: settings.token.clone(),
            hosts,
        }))
    }

    /// An address is known always: probes and scrapers use those that they were told, and only a name can be made to
    /// lead here by somebody else.
    fn knows_host(&self, authority: &str) -> bool {
        let host = host_of(authority);
        let mut hosts = self.0.hosts.iter();
        host.parse::<IpAddr>().is_ok() || hosts.any(|known| known.eq_ignore_ascii_case(host))
    }

    /// A name that resolves to us is not ours (DNS rebinding), a page elsewhere is not the operator.
    fn refusal(&self, request: &Request) -> Option<(StatusCode, &'static str)> {
        let headers = request.headers();
        let host = text(headers, header::HOST)
            .or_else(|| request.uri().authority().map(|host| host.as_str()));
        if !host.is_some_and(|host| self.knows_host(host)) {
            return Some((
                StatusCode::MISDIRECTED_REQUEST,
                "unknown Host; see the setting admin.hosts",
            ));
        }
        let origin = headers
            .get(header::ORIGIN)
            .map(|_| text(headers, header::ORIGIN).unwrap_or_default());
        if origin.is_some_and(|origin| origin.split_once("://").map(|(_, host)| host) != host) {
            return Some((
                StatusCode::FORBIDDEN,
                "requests of other origins are refused",
            ));
        }
        let open = matches!(request.uri().path(), "/health" | "/ready");
        if !open && !self.lets_in(headers) {
            return Some((StatusCode::UNAUTHORIZED, "the admin token is needed"));
        }
        None
    }

    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.0.token else {
            return true;
        };
        let given =
            text(headers, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        given.is_some_and(|given| equal(given.as_bytes(), token.expose_secret().as_bytes()))
    }
}

/// Lets the operator in; every action is an audit event, whatever becomes of it.
pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let peer = peer(request.extensions()).map(|peer| peer.to_string());
    let response = match guard.refusal(&request) {
        Some((status, reason)) => refused(status, reason),
        None => next.run(request).await,
    };
    let acted = !method.is_safe() || response.status().is_client_error();
    if acted {
        let status = response.status().as_u16();
        tracing::info!(target: "audit", %method, path, status, remote_addr = peer, "operator's action");
    }
    response
}

fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    type Headers = [(&'static str, &'static str)];

    fn refusal(guard: &Guard, headers: &Headers) -> Option<u16> {
        let mut request = Request::builder().uri("/metrics");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        guard
            .refusal(&request.body(Body::empty()).unwrap())
            .map(|(status, _)| status.as_u16())
    }

    #[test]
    fn only_known_hosts_and_origins_are_let_in() {
        let guard = Guard::new(&AdminSettings::default());
        let cases: [(&Headers, Option<u16>); 11] = [
            (&[("host", "127.0.0.1:9090")], None),
            (&[("host", "localhost:9090")], None),
            (&[("host", "[::1]:9090")], None),
            // A probe of Kubernetes and a scraper name the pod by its address.
            (&[("host", "10.244.1.7:9090")], None),
            (&[("host", "[fd00::7]:9090")], None),
            (&[("host", "10.244.1.7.evil.example:9090")], Some(421)),
            (
                &[
                    ("host", "10.244.1.7:9090"),
                    ("origin", "http://evil.example"),
                ],
                Some(403),
            ),
            (&[("host", "evil.example:9090")], Some(421)),
            (&[], Some(421)),
            (
                &[
                    ("host", "localhost:9090"),
                    ("origin", "http://localhost:9090"),
                ],
                None,
            ),
            (
                &[
                    ("host", "localhost:9090"),
                    ("origin", "https://evil.example"),
                ],
                Some(403),
            ),
        ];
        for (headers, expected) in cases {
            assert_eq!(refusal(&guard, headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_token_is_needed_where_one_is_set() {
        let settings = AdminSettings {
            token: Some("open sesame".into()),
            ..AdminSettings::default()
        };
        let guard = Guard::new(&settings);
        let host = ("host", "localhost");
        assert_eq!(refusal(&guard, &[host]), Some(401));
        assert_eq!(
            refusal(&guard, &[host, ("authorization", "Bearer open")]),
            Some(401)
        );
        assert_eq!(
            refusal(&guard, &[host, ("authorization", "Bearer open sesame")]),
            None
        );
    }
}
