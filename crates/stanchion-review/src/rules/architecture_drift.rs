use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "architecture-drift",
    title: "An import goes against the declared architecture",
    why: "A declared direction that one import breaks is broken for everything behind that import.",
    source: "Robert C. Martin, Clean Architecture, chapter 22: the dependency rule",
    mend: "Turn the arrow round by a port that the inner side owns, or declare the arrow in stanchion.toml and write the decision.",
    point: Point::Dependencies,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::Project(crate::architecture::drift)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: r#"
//- stanchion.toml
[architecture]
allow = ["store -> rules"]
layer = [{ name = "rules", paths = ["src/rules"] }, { name = "store", paths = ["src/store"] }]
//- src/rules.rs
use crate::store::Rows;
//- src/store.rs
pub struct Rows;
"#,
            good: r#"
//- stanchion.toml
[architecture]
allow = ["store -> rules"]
layer = [{ name = "rules", paths = ["src/rules"] }, { name = "store", paths = ["src/store"] }]
//- src/rules.rs
pub struct Price;
//- src/store.rs
use crate::rules::Price;
"#,
        },
        Example {
            language: Language::Go,
            bad: r#"
//- stanchion.toml
[architecture]
context = [{ name = "orders", paths = ["internal/orders"] }, { name = "stock", paths = ["internal/stock"] }]
//- go.mod
module example.com/shop
//- internal/orders/place.go
package orders

import "example.com/shop/internal/stock"
"#,
            good: r#"
//- stanchion.toml
[architecture]
allow = ["orders -> stock"]
context = [{ name = "orders", paths = ["internal/orders"] }, { name = "stock", paths = ["internal/stock"] }]
//- go.mod
module example.com/shop
//- internal/orders/place.go
package orders

import "example.com/shop/internal/stock"
"#,
        },
    ],
};
