//! Signs in Go.

use super::Sign;
use crate::model::Point;

pub(super) const GO: &[Sign] = &[
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
