//! Signs in the source that a point of the checklist holds, each with its place.

use serde::Serialize;

use crate::model::{Language, Point};
use crate::source::Source;

/// A place that speaks for a point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The point.
    pub point: Point,
    /// What was seen, in words.
    pub what: &'static str,
    /// Path from the root.
    pub path: String,
    /// Line from 1.
    pub line: u32,
}

/// What is looked for: the point, what it is in words, texts any of which shows it.
type Sign = (Point, &'static str, &'static [&'static str]);

const RUST: &[Sign] = &[
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

const GO: &[Sign] = &[
    (Point::Errors, "errors wrapped with their cause", &["%w"]),
    (
        Point::Errors,
        "errors told apart by type",
        &["errors.Is(", "errors.As("],
    ),
    (
        Point::Concurrency,
        "goroutines with an owner",
        &["errgroup.", "sync.WaitGroup", "<-ctx.Done()"],
    ),
    (
        Point::Resources,
        "timeouts",
        &[
            "context.WithTimeout(",
            "context.WithDeadline(",
            "Timeout:",
            "ReadHeaderTimeout",
        ],
    ),
    (
        Point::Resources,
        "a bounded pool",
        &["SetMaxOpenConns", "MaxConns", "pool_max_conns"],
    ),
    (
        Point::Observability,
        "structured logs",
        &["slog.", "zap.", "zerolog", "logrus."],
    ),
    (
        Point::Observability,
        "distributed traces",
        &["go.opentelemetry.io", "opentracing"],
    ),
    (
        Point::Security,
        "authentication",
        &[
            "golang-jwt",
            "jwt.Parse",
            "bcrypt.",
            "argon2.",
            "oauth2",
            "BasicAuth",
        ],
    ),
    (
        Point::Configuration,
        "values from the environment",
        &[
            "os.Getenv(",
            "os.LookupEnv(",
            "envconfig",
            "viper.AutomaticEnv",
            "cleanenv",
            "env.Parse",
            "`env:\"",
            "env:\"",
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
            "/healthz",
            "/readyz",
            "grpc_health_v1",
        ],
    ),
    (
        Point::Shutdown,
        "stops on a signal",
        &[
            "signal.Notify(",
            "signal.NotifyContext(",
            ".GracefulStop()",
            "graceful",
        ],
    ),
    (
        Point::Migrations,
        "migrations run by the program",
        &[
            "golang-migrate",
            "goose.",
            "AutoMigrate(",
            "migrate.New",
            "atlas",
            "sql-migrate",
        ],
    ),
    (
        Point::Monitoring,
        "metrics",
        &[
            "prometheus.",
            "promauto.",
            "promhttp.",
            "otel/metric",
            "expvar",
        ],
    ),
    (
        Point::Logs,
        "logs as JSON",
        &[
            "slog.NewJSONHandler",
            "zap.NewProduction",
            "JSONFormatter",
            "zerolog.New(",
            "JSONHandler",
        ],
    ),
    (
        Point::RateLimits,
        "a rate limit",
        &[
            "rate.NewLimiter",
            "golang.org/x/time/rate",
            "ulule/limiter",
            "httprate",
            "tollbooth",
            "RateLimit",
            "limiter.New",
        ],
    ),
    (
        Point::Cors,
        "a CORS policy",
        &[
            "cors.New(",
            "cors.Default",
            "cors.Handler",
            "AllowedOrigins",
            "Access-Control-Allow-Origin",
            "middleware.CORS",
        ],
    ),
    (
        Point::Headers,
        "security headers",
        &[
            "X-Content-Type-Options",
            "Strict-Transport-Security",
            "Content-Security-Policy",
            "middleware.Secure",
            "unrolled/secure",
            "helmet.",
        ],
    ),
    (
        Point::Tls,
        "TLS",
        &[
            "ListenAndServeTLS",
            "tls.Config{",
            "autocert",
            "credentials.NewTLS",
            "RunTLS(",
            "StartTLS(",
        ],
    ),
];

const MANIFEST: &[Sign] = &[
    (
        Point::Configuration,
        "values from the environment",
        &["envFrom:", "configMapKeyRef", "secretKeyRef"],
    ),
    (
        Point::Health,
        "probes",
        &[
            "readinessProbe:",
            "livenessProbe:",
            "startupProbe:",
            "healthcheck:",
        ],
    ),
    (
        Point::Shutdown,
        "a grace period",
        &[
            "terminationGracePeriodSeconds:",
            "stop_grace_period:",
            "preStop:",
        ],
    ),
    (
        Point::Monitoring,
        "alerts or scraping",
        &[
            "PrometheusRule",
            "ServiceMonitor",
            "PodMonitor",
            "prometheus.io/scrape",
            "alert:",
            "alertmanager",
        ],
    ),
    (
        Point::Logs,
        "a log collector",
        &["fluent", "promtail", "loki", "vector:", "filebeat"],
    ),
    (
        Point::Tls,
        "TLS at the ingress",
        &["tls:", "cert-manager.io"],
    ),
    (
        Point::Backup,
        "a backup",
        &[
            "pg_dump",
            "velero",
            "backup",
            "wal-g",
            "pgbackrest",
            "barman",
        ],
    ),
];

const DOCKER: &[Sign] = &[(Point::Health, "a health check", &["HEALTHCHECK"])];

/// Signs of one file; of each sign the first place.
pub(crate) fn of(source: &Source) -> Vec<Evidence> {
    let signs = match source.language {
        Language::Rust => RUST,
        Language::Go => GO,
        Language::Kubernetes | Language::Compose => MANIFEST,
        Language::Docker => DOCKER,
    };
    let mut all: Vec<Evidence> = Vec::new();
    for (point, what, texts) in signs {
        let place = texts
            .iter()
            .flat_map(|text| source.text.match_indices(text))
            .map(|(at, _)| at)
            .filter(|at| !source.in_comment(*at) && !source.in_test(*at))
            .min();
        if let Some(at) = place {
            all.push(Evidence {
                point: *point,
                what,
                path: source.path.clone(),
                line: source.line_of(at),
            });
        }
    }
    all.extend(tests(source));
    all
}

fn tests(source: &Source) -> Option<Evidence> {
    let marks: &[&str] = match source.language {
        Language::Rust => &[
            "#[test]",
            "#[tokio::test",
            "#[actix_web::test",
            "#[sqlx::test",
            "#[rstest]",
            "proptest!",
        ],
        Language::Go => &["func Test", "func Fuzz"],
        _ => return None,
    };
    let at = marks
        .iter()
        .filter_map(|mark| source.text.find(mark))
        .filter(|at| !source.in_comment(*at))
        .min()?;
    Some(Evidence {
        point: Point::Testing,
        what: "tests",
        path: source.path.clone(),
        line: source.line_of(at),
    })
}

/// What files that are not source say by being there.
pub(crate) fn of_others(paths: &[String]) -> Vec<Evidence> {
    let mut all = Vec::new();
    for path in paths {
        let lower = path.to_ascii_lowercase();
        let mut push = |point, what| {
            all.push(Evidence {
                point,
                what,
                path: path.clone(),
                line: 1,
            })
        };
        if lower.contains("migration") && lower.ends_with(".sql") {
            push(Point::Migrations, "migration files");
        }
        if lower.starts_with(".github/workflows/") {
            push(Point::Testing, "a workflow");
        }
        if lower.ends_with(".env.example") {
            push(Point::Configuration, "a template of the environment");
        }
        if lower.contains("backup") || lower.contains("restore") {
            push(Point::Backup, "a document or script of backup and restore");
        }
        if lower.contains("alert") || lower.contains("dashboard") || lower.contains("grafana") {
            push(Point::Monitoring, "alerts or dashboards");
        }
    }
    all
}
