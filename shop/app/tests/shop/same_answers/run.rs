//! The run: requests that follow from a seed and from what was answered before, the same for both sides.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;

use super::step::{Body, Means, Step, log_in, put};
use crate::support::{ADMIN_PASSWORD, PASSWORD};

/// Customers and products beyond this are not made: the run is about them, not about more of them.
const CUSTOMERS_MAX: usize = 40;
const PRODUCTS_MAX: usize = 60;

/// What was done, and the dice.
pub(crate) struct Run {
    dice: u64,
    steps: usize,
    customers: Vec<usize>,
    made: usize,
    products: Vec<String>,
    orders: Vec<(usize, usize)>,
    /// The last request with a key, to be sent again.
    keyed: Option<Step>,
    statuses: BTreeMap<u16, usize>,
}

impl Run {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: seed,
            steps: 0,
            customers: Vec::new(),
            made: 0,
            products: ["KETTLE", "MUG-BLUE", "SCALE", "WOODEN-SPOON"]
                .map(str::to_owned)
                .into(),
            orders: Vec::new(),
            keyed: None,
            statuses: BTreeMap::new(),
        }
    }

    /// The next request.
    pub(crate) fn next(&mut self) -> Step {
        self.steps += 1;
        match self.steps {
            1 => return log_in("admin", ADMIN_PASSWORD, "admin"),
            2..=4 => return self.register(),
            5..=7 => {
                let nth = self.steps - 5;
                return log_in(
                    &format!("customer{nth}"),
                    PASSWORD,
                    &format!("customer{nth}"),
                );
            }
            8 => {
                let body = json!({"roles": ["staff"]});
                return put("/users/{customer0.id}/roles", "admin", body);
            }
            9 => return log_in("customer0", PASSWORD, "customer0"),
            _ => {}
        }
        match self.roll(100) {
            0..=2 if self.made < CUSTOMERS_MAX => self.register(),
            3..=5 => self.users(),
            6..=14 => self.product(),
            15..=29 => self.products_read(),
            30..=49 => self.order(),
            50..=53 => self.again(),
            54..=73 => self.orders_read(),
            74..=79 => self.cancel(),
            80..=86 => self.payments(),
            _ => self.wrong(),
        }
    }

    /// What the answer to a step means for the next ones.
    pub(crate) fn learn(&mut self, step: &Step, status: u16) {
        *self.statuses.entry(status).or_default() += 1;
        if !(200..300).contains(&status) {
            return;
        }
        match step.means.clone() {
            Means::Nothing | Means::Cancelled { .. } => {}
            // Who has no token yet orders nothing.
            Means::Customer(nth) if nth < 3 => self.customers.push(nth),
            Means::Customer(_) => {}
            Means::Product(sku) => self.products.push(sku),
            Means::Order { nth, by } => self.orders.push((nth, by)),
        }
    }

    /// How often which status.
    pub(crate) fn said(&self) -> String {
        format!(
            "{} requests, {} orders, by status: {:?}",
            self.steps,
            self.orders.len(),
            self.statuses
        )
    }

    /// splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
    fn roll(&mut self, sides: usize) -> usize {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % sides as u64) as usize
    }

    fn customer(&mut self) -> usize {
        let nth = self.roll(self.customers.len());
        self.customers[nth]
    }

    fn sku(&mut self) -> String {
        let nth = self.roll(self.products.len());
        self.products[nth].clone()
    }

    fn register(&mut self) -> Step {
        let nth = self.made;
        self.made += 1;
        let body = json!({
            "email": format!("customer{nth}@example.com"), "username": format!("customer{nth}"),
            "password": PASSWORD, "first_name": "  Ada ",
        });
        let mut step = Step::new(Method::POST, "/users").json(body);
        step.keeps = vec![(format!("customer{nth}.id"), "/data/id")];
        step.means = Means::Customer(nth);
        step
    }

    fn users(&mut self) -> Step {
        let (who, other) = (self.customer(), self.customer());
        let caller = format!("customer{who}");
        match self.roll(4) {
            0 => Step::get("/users/me").by(&caller),
            1 => Step::get(&format!("/users/{{customer{other}.id}}")).by(&caller),
            2 => Step::get("/users?limit=3&sort=username&order=asc").by("admin"),
            _ => {
                let mut step = Step::new(Method::PATCH, &format!("/users/{{customer{who}.id}}"));
                let letter = ["Ada", "Bob", "Cy"][self.roll(3)];
                step.headers
                    .push(("content-type", "application/merge-patch+json".into()));
                step.json(json!({"first_name": letter})).by(&caller)
            }
        }
    }

    fn product(&mut self) -> Step {
        let nth = self.products.len();
        if nth < PRODUCTS_MAX && self.roll(3) == 0 {
            let sku = format!("MADE-{nth}");
            let body = json!({
                "sku": sku, "name": format!("Made {nth}"), "description": "Made by a run.",
                "price": {"amount": 100 + self.roll(900), "currency": "EUR"},
            });
            let mut step = Step::new(Method::POST, "/products").json(body).by("admin");
            step.means = Means::Product(sku);
            return step;
        }
        let sku = self.sku();
        if self.roll(4) == 0 {
            let mut step = Step::new(Method::PATCH, &format!("/products/{sku}")).by("admin");
            step.headers
                .push(("content-type", "application/merge-patch+json".into()));
            let price = json!({"price": {"amount": 100 + self.roll(900), "currency": "EUR"}});
            return step.json(price);
        }
        let delta = self.roll(80) as i64 - 10;
        let body = json!({"delta": delta, "reason": "delivery"});
        let path = format!("/products/{sku}/stock");
        Step::new(Method::POST, &path).json(body).by("admin")
    }

    fn products_read(&mut self) -> Step {
        let sku = self.sku();
        match self.roll(5) {
            0 | 1 => Step::get(&format!("/products/{sku}")),
            2 => Step::get("/products?limit=5&sort=name&order=asc"),
            3 => Step::get(&format!(
                "/products?limit=5&page={}&sort=price",
                1 + self.roll(3)
            )),
            _ => Step::get("/products?in_stock=true&q=e&limit=50&sort=name"),
        }
    }

    fn order(&mut self) -> Step {
        let (who, nth) = (self.customer(), self.steps);
        let lines = 1 + self.roll(3);
        let mut skus: Vec<String> = (0..lines).map(|_| self.sku()).collect();
        skus.sort();
        skus.dedup();
        let quantity = match self.roll(8) {
            0 => 100_000,
            _ => 1 + self.roll(4),
        };
        let items = skus.iter();
        let items: Vec<_> = items
            .map(|sku| json!({"sku": sku, "quantity": quantity}))
            .collect();
        let method = match self.roll(6) {
            0 => "pm_card_chargeDeclined",
            _ => "pm_card_visa",
        };
        let body = json!({"items": items, "payment_method": method});
        let mut step = Step::new(Method::POST, "/orders")
            .json(body)
            .by(&format!("customer{who}"));
        step.headers
            .push(("idempotency-key", format!("order-{nth}")));
        step.headers.push(("prefer", "wait=25".into()));
        step.keeps = vec![
            (format!("order{nth}.id"), "/data/id"),
            (format!("payment{nth}.id"), "/data/payment_id"),
        ];
        step.means = Means::Order { nth, by: who };
        self.keyed = Some(step.clone());
        step
    }

    /// The same key again, with the same body or with another one.
    fn again(&mut self) -> Step {
        let Some(mut step) = self.keyed.clone() else {
            return self.order();
        };
        step.means = Means::Nothing;
        step.keeps.clear();
        if self.roll(2) == 0 {
            step.body = Body::Json(json!({
                "items": [{"sku": "KETTLE", "quantity": 7}], "payment_method": "pm_card_visa",
            }));
        }
        step
    }

    fn orders_read(&mut self) -> Step {
        let reader = format!("customer{}", self.customer());
        let lists = [
            "/orders?limit=5",
            "/orders?limit=5&status=confirmed",
            "/orders?limit=7&sort=total&order=desc",
            "/orders?limit=3&page=2",
            "/users/{customer1.id}/orders?limit=4",
        ];
        if self.orders.is_empty() || self.roll(3) == 0 {
            return Step::get(lists[self.roll(lists.len())]).by(&reader);
        }
        let (nth, by) = self.some_order();
        // Now and then somebody else's, which is not there for a customer.
        let reader = match self.roll(4) {
            0 => reader,
            _ => format!("customer{by}"),
        };
        let path = match self.roll(2) {
            0 => format!("/orders/{{order{nth}.id}}"),
            _ => format!("/orders/{{order{nth}.id}}/history"),
        };
        Step::get(&path).by(&reader)
    }

    fn some_order(&mut self) -> (usize, usize) {
        let nth = self.roll(self.orders.len());
        self.orders[nth]
    }

    fn cancel(&mut self) -> Step {
        if self.orders.is_empty() {
            return self.order();
        }
        let (nth, by) = self.some_order();
        let path = format!("/orders/{{order{nth}.id}}/cancel");
        let mut step = Step::new(Method::POST, &path).by(&format!("customer{by}"));
        step.means = Means::Cancelled { nth };
        step
    }

    fn payments(&mut self) -> Step {
        let reader = format!("customer{}", self.customer());
        if self.orders.is_empty() || self.roll(4) == 0 {
            return Step::get("/payments?limit=5").by(&reader);
        }
        let (nth, by) = self.some_order();
        let path = format!("/payments/{{payment{nth}.id}}");
        match self.roll(2) {
            0 => Step::get(&path).by(&format!("customer{by}")),
            _ => Step::get(&format!("/payments?order_id={{order{nth}.id}}")).by(&reader),
        }
    }

    /// What is refused, each in its way.
    fn wrong(&mut self) -> Step {
        let customer = format!("customer{}", 1 + self.roll(2));
        // Another name each time: how often one may be tried is a matter of time, and each side has its own.
        let nobody = json!({"login": format!("nobody{}", self.steps), "password": "not this one"});
        let steps = [
            Step::get("/users/me"),
            Step::get("/users/me").by("nobody"),
            Step::get("/orders/0190a6f0-0000-7000-8000-000000000000").by(&customer),
            Step::get("/orders/what").by(&customer),
            Step::get("/products?limit=1000"),
            Step::get("/products/NOT-THERE"),
            Step::get("/products?cursor=forged"),
            Step::get("/users").by(&customer),
            Step::new(Method::POST, "/products").json(json!({})).by(&customer),
            Step::new(Method::POST, "/products").text("{\"sku\":").by("admin"),
            Step::new(Method::POST, "/orders").json(json!({"items": []})).by(&customer),
            Step::new(Method::POST, "/orders")
                .json(json!({"items": [{"sku": "NOT-THERE", "quantity": 0}], "more": 1}))
                .key("wrong-1")
                .by(&customer),
            Step::new(Method::POST, "/orders")
                .json(json!({"items": [{"sku": "NOT-THERE", "quantity": 1}], "payment_method": "pm_card_visa"}))
                .key("wrong-2")
                .by(&customer),
            Step::new(Method::DELETE, "/orders").by(&customer),
            Step::new(Method::POST, "/auth/login").json(nobody),
            Step::new(Method::POST, "/users").json(json!({"email": "no", "username": "-", "password": "x"})),
        ];
        let nth = self.roll(steps.len());
        steps[nth].clone()
    }
}
