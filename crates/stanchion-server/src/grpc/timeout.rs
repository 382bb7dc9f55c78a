use std::time::Duration;

use http::{HeaderMap, HeaderName};
use stanchion_resilience::deadline::parse_grpc_timeout;

use crate::Problem;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The time that a caller gives its call: `grpc-timeout`, 1 to 8 digits and a unit of `H`, `M`, `S`, `m`, `u`, `n`.
///
/// # Errors
/// `INVALID_ARGUMENT` for anything else: a deadline that is not understood must not be taken for none.
pub(crate) fn requested(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let Some(value) = headers.get(GRPC_TIMEOUT) else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(parse_grpc_timeout);
    let refused = || Problem::invalid_parameter("grpc-timeout", "must look like 250m or 2S");
    parsed.map(Some).ok_or_else(refused)
}
