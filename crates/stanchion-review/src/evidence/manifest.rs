//! Signs in manifests and container files.

use super::Sign;
use crate::model::Point;

pub(super) const MANIFEST: &[Sign] = &[
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

pub(super) const DOCKER: &[Sign] = &[(Point::Health, "a health check", &["HEALTHCHECK"])];
