//! Traces to an OTLP endpoint.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use crate::unrecorded::Share;

/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be exported to {endpoint}: {reason}")]
pub struct ExportError {
    endpoint: String,
    reason: String,
}

/// Spans always get ids, so that lines and messages can be told apart; they are kept and sent only
/// when there is an endpoint. The queue is the SDK's: 2,048 spans, the rest is dropped.
pub(crate) fn provider(
    endpoint: Option<&str>,
    share: &Share,
    service: &str,
) -> Result<SdkTracerProvider, ExportError> {
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .build();
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let builder = builder.with_sampler(share.clone());
    let Some(endpoint) = endpoint else {
        return Ok(builder.build());
    };
    let exporter = exporter(endpoint)?;
    Ok(builder.with_batch_exporter(exporter).build())
}

pub(crate) fn tracer(provider: &SdkTracerProvider) -> SdkTracer {
    provider.tracer("stanchion")
}

fn exporter(endpoint: &str) -> Result<SpanExporter, ExportError> {
    let failed = |reason: String| ExportError {
        endpoint: endpoint.to_owned(),
        reason,
    };
    crate::install_crypto();
    let client = reqwest::Client::builder().timeout(EXPORT_TIMEOUT).build();
    let client = Sender {
        client: client.map_err(|error| failed(error.to_string()))?,
        runtime: tokio::runtime::Handle::try_current()
            .map_err(|error| failed(error.to_string()))?,
    };
    SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(url(endpoint).map_err(failed)?)
        .with_timeout(EXPORT_TIMEOUT)
        .with_http_client(client)
        .build()
        .map_err(|error| failed(error.to_string()))
}

/// The whole URL: the collector's usual path is added when only a host was named.
fn url(endpoint: &str) -> Result<String, String> {
    let endpoint = endpoint.trim_end_matches('/');
    let wrong = || "write a URL such as http://127.0.0.1:4318".to_owned();
    let uri: http::Uri = endpoint.parse().map_err(|_| wrong())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    Ok(match uri.path() {
        "" | "/" => format!("{endpoint}/v1/traces"),
        _ => endpoint.to_owned(),
    })
}

/// The SDK exports from a thread of its own; the request itself runs on our runtime.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: tokio::runtime::Handle,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let client = self.client.clone();
        let sending = self.runtime.spawn(async move {
            let response = client.execute(request).await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        });
        let (status, body) = sending.await??;
        Ok(http::Response::builder().status(status).body(body)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_alone_gets_the_usual_path() {
        assert_eq!(
            url("http://127.0.0.1:4318").unwrap(),
            "http://127.0.0.1:4318/v1/traces"
        );
        assert_eq!(
            url("http://127.0.0.1:4318/").unwrap(),
            "http://127.0.0.1:4318/v1/traces"
        );
        assert_eq!(
            url("https://host/otlp/v1/traces").unwrap(),
            "https://host/otlp/v1/traces"
        );
    }

    #[tokio::test]
    async fn what_is_no_url_is_refused_at_the_start() {
        for endpoint in ["127.0.0.1:4318", "what is this", "", "ftp://host"] {
            assert!(
                provider(Some(endpoint), &Share(1.0), "shop").is_err(),
                "{endpoint:?}"
            );
        }
    }
}
