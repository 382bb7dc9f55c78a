//! Signs in Rust.

use super::Sign;
use crate::model::Point;

pub(super) const RUST: &[Sign] = &[
    (
        Point::Errors,
        "typed errors",
        &["thiserror::Error", "derive(Error", "impl std::error::Error"],
    ),
    (
        Point::Errors,
        "errors mapped at the edge",
        &[
            "impl IntoResponse for",
            "impl ResponseError for",
            "impl From<Refused",
            "Problem::",
        ],
    ),
    (
        Point::Concurrency,
        "tasks with an owner",
        &[
            "JoinSet",
            "TaskTracker",
            "CancellationToken",
            "task::spawn(",
        ],
    ),
    (
        Point::Concurrency,
        "bounded channels or permits",
        &[
            "mpsc::channel(",
            "Semaphore::new",
            "buffer_unordered",
            "for_each_concurrent",
        ],
    ),
    (
        Point::Resources,
        "timeouts",
        &[".timeout(", "time::timeout(", "TimeoutLayer", "Deadline"],
    ),
    (
        Point::Resources,
        "a bounded pool",
        &["max_connections(", "max_size(", "PgPoolOptions"],
    ),
    (
        Point::Observability,
        "structured logs or spans",
        &["tracing::", "slog::", "#[instrument"],
    ),
    (
        Point::Observability,
        "distributed traces",
        &["opentelemetry"],
    ),
    (
        Point::Security,
        "authentication",
        &[
            "jsonwebtoken",
            "Authorized<",
            "Guarded<",
            "Principal",
            "BearerAuth",
            "argon2",
            "Argon2",
        ],
    ),
    (
        Point::Configuration,
        "values from the environment",
        &[
            "env::var(",
            "Environment::with_prefix",
            "#[arg(env",
            "envy::",
            "Env::prefixed",
            "settings!",
        ],
    ),
    (
        Point::Health,
        "a health or readiness route",
        &[
            "\"/health",
            "\"/ready",
            "\"/livez",
            "\"/live\"",
            "\"/startup",
            "health_check",
            "tonic_health",
            "ready_when(",
        ],
    ),
    (
        Point::Shutdown,
        "stops on a signal",
        &[
            "with_graceful_shutdown",
            "ctrl_c()",
            "SignalKind::terminate",
            "signal_hook",
            "shutdown_signal",
        ],
    ),
    (
        Point::Migrations,
        "migrations run by the program",
        &[
            "migrate!(",
            "embed_migrations!",
            "Migrator::",
            "run_pending_migrations",
            "refinery",
            ".migrate(",
        ],
    ),
    (
        Point::Monitoring,
        "metrics",
        &[
            "prometheus",
            "metrics::counter",
            "counter!(",
            "histogram!(",
            "Meter",
        ],
    ),
    (
        Point::Logs,
        "logs as JSON",
        &[
            ".json()",
            "fmt::json",
            "JsonFormat",
            "bunyan",
            "BunyanFormattingLayer",
        ],
    ),
    (
        Point::RateLimits,
        "a rate limit",
        &[
            "GovernorLayer",
            "RateLimit",
            "rate_limit",
            "RateLimiter",
            "governor::",
            "ConcurrencyLimit",
            "load_shed",
        ],
    ),
    (
        Point::Cors,
        "a CORS policy",
        &[
            "CorsLayer",
            "Cors::default",
            "allow_origin",
            "allowed_origin",
        ],
    ),
    (
        Point::Headers,
        "security headers",
        &[
            "X_CONTENT_TYPE_OPTIONS",
            "x-content-type-options",
            "X-Content-Type-Options",
            "STRICT_TRANSPORT_SECURITY",
            "strict-transport-security",
            "CONTENT_SECURITY_POLICY",
            "content-security-policy",
        ],
    ),
    (
        Point::Tls,
        "TLS",
        &[
            "rustls",
            "ServerTlsConfig",
            "TlsAcceptor",
            "native_tls",
            "openssl::ssl",
        ],
    ),
];
