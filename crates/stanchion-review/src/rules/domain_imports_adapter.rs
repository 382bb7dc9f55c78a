use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "domain-imports-adapter",
    title: "The domain imports an adapter",
    why: "Rules that know a driver or a framework cannot be tested without it and change whenever it does.",
    source: "Alistair Cockburn, Hexagonal architecture; Robert C. Martin, Clean Architecture, chapter 22",
    mend: "Let the domain name a port in its own words and implement it in the adapter.",
    point: Point::Separation,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::Project(check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "//- src/domain/order.rs\nuse sqlx::PgPool;\npub struct Orders(PgPool);\n",
            good: "//- src/domain/order.rs\nuse crate::domain::money::Money;\npub struct Order { total: Money }\n",
        },
        Example {
            language: Language::Go,
            bad: "//- internal/domain/order.go\npackage domain\n\nimport \"database/sql\"\n\ntype Orders struct{ db *sql.DB }\n",
            good: "//- internal/domain/order.go\npackage domain\n\nimport \"errors\"\n\nvar ErrClosed = errors.New(\"closed\")\n",
        },
    ],
};

const DRIVERS: [&str; 34] = [
    "sqlx", "diesel", "sea_orm", "tokio_postgres", "rusqlite", "redis", "mongodb", "axum", "actix_web", "rocket", "warp", "hyper", "reqwest", "tonic", "rdkafka", "lapin", "async_nats",
    "database/sql", "net/http", "gorm.io/gorm", "github.com/gin-gonic/gin", "github.com/labstack/echo", "github.com/jackc/pgx", "github.com/jmoiron/sqlx", "github.com/redis/go-redis",
    "github.com/go-redis/redis", "go.mongodb.org/mongo-driver", "google.golang.org/grpc", "github.com/IBM/sarama", "github.com/Shopify/sarama", "github.com/segmentio/kafka-go",
    "github.com/rabbitmq/amqp091-go", "github.com/streadway/amqp", "github.com/nats-io/nats.go",
];
const ADAPTERS: [&str; 6] = ["adapters", "adapter", "infrastructure", "infra", "persistence", "transport"];

fn check(project: &Project, found: &mut Found) {
    for facts in project.facts.iter().filter(|facts| in_domain(&facts.path)) {
        for import in facts.imports.iter().filter(|import| !import.in_test) {
            let driver = DRIVERS.iter().any(|driver| {
                import.path == *driver || import.path.strip_prefix(driver).is_some_and(|rest| rest.starts_with(['/', ':']))
            });
            let ours = import.path.starts_with("crate::") || project.go_module.as_deref().is_some_and(|module| import.path.starts_with(module));
            let adapter = ours && import.path.split(['/', ':']).any(|part| ADAPTERS.contains(&part));
            // Names of gRPC's status and codes are a vocabulary, not a connection.
            if (driver && !import.path.ends_with("grpc/codes") && !import.path.ends_with("grpc/status")) || adapter {
                found.at_fact(facts, import.line, &import.path, &format!("The domain imports `{}`", import.path));
            }
        }
    }
}

fn in_domain(path: &str) -> bool {
    let mut parts: Vec<&str> = path.split('/').collect();
    let file = parts.pop().unwrap_or("");
    // Folders inside the domain that are named for an adapter were misplaced on purpose; those are another talk.
    (parts.contains(&"domain") || file == "domain.rs") && !parts.iter().any(|part| ADAPTERS.contains(part))
}
