use serde_json::{Map, Value, json};

/// More reasons than this are not collected: a client mends the first ones first.
const VIOLATIONS_MAX: usize = 100;

/// Rules that a type alone cannot say.
///
/// It collects everything that is wrong, so that a client sees it at once. An empty body is a fine
/// implementation; that it must be written is what keeps it from being forgotten.
///
/// ```
/// use stanchion_server::{Validate, Violations};
/// struct NewUser { username: String }
/// impl Validate for NewUser {
///     fn validate(&self, violations: &mut Violations) {
///         let length = self.username.chars().count();
///         violations.require((3..=30).contains(&length), "username", "must have 3 to 30 characters");
///     }
/// }
/// ```
pub trait Validate {
    /// Fields of a body whose text keeps its blanks: passwords. Every other text is trimmed.
    ///
    /// Fields at the top of the body only. Like all text they come in normal form C and without control
    /// characters, so that the same keys give the same password on every system (RFC 8265, OpaqueString).
    const UNTRIMMED: &'static [&'static str] = &[];

    /// Adds every broken rule.
    fn validate(&self, violations: &mut Violations);
}

/// Broken rules by field: `items[0].sku` → reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    found: Vec<(String, String)>,
    prefix: String,
}

impl Violations {
    /// Adds a reason for a field, relative to where validation is.
    pub fn add(&mut self, field: &str, reason: impl Into<String>) {
        if self.found.len() < VIOLATIONS_MAX {
            self.found.push((self.path(field), reason.into()));
        }
    }

    /// Adds the reason unless the rule holds.
    pub fn require(&mut self, holds: bool, field: &str, reason: impl Into<String>) {
        if !holds {
            self.add(field, reason);
        }
    }

    /// Adds a reason unless the text has `min` to `max` characters.
    pub fn length(&mut self, field: &str, text: &str, min: usize, max: usize) {
        let length = text.chars().count();
        if min == 1 && length == 0 {
            self.add(field, "must not be empty");
        } else if !(min..=max).contains(&length) {
            self.add(field, format!("must have {min} to {max} characters"));
        }
    }

    /// Adds a reason unless the number is within `min` to `max`.
    pub fn range(&mut self, field: &str, number: i64, min: i64, max: i64) {
        self.require(
            (min..=max).contains(&number),
            field,
            format!("must be {min} to {max}"),
        );
    }

    /// Validates a value inside this one.
    pub fn inside(&mut self, field: &str, value: &impl Validate) {
        let inner = self.path(field);
        let outer = std::mem::replace(&mut self.prefix, inner);
        value.validate(self);
        self.prefix = outer;
    }

    /// Validates every value of a list inside this one.
    pub fn each<T: Validate>(&mut self, field: &str, values: &[T]) {
        for (nth, value) in values.iter().enumerate() {
            self.inside(&format!("{field}[{nth}]"), value);
        }
    }

    /// Whether no rule is broken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// `Ok`, or the problem that names them all.
    ///
    /// # Errors
    /// 422 `VALIDATION_FAILED` unless it is empty.
    pub fn into_result(self) -> Result<(), crate::Problem> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(crate::Problem::validation(self))
        }
    }

    pub(crate) fn into_fields(self) -> Map<String, Value> {
        let mut fields = Map::new();
        for (path, reason) in self.found {
            let reasons = fields.entry(path).or_insert_with(|| json!([]));
            if let Value::Array(reasons) = reasons {
                reasons.push(Value::String(reason));
            }
        }
        fields
    }

    fn path(&self, field: &str) -> String {
        if self.prefix.is_empty() {
            field.to_owned()
        } else if field.is_empty() {
            self.prefix.clone()
        } else {
            format!("{}.{field}", self.prefix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Basket {
        items: Vec<Item>,
    }
    struct Item {
        sku: &'static str,
        quantity: i64,
    }

    impl Validate for Basket {
        fn validate(&self, violations: &mut Violations) {
            violations.require(self.items.len() <= 2, "items", "must have at most 2 items");
            violations.each("items", &self.items);
        }
    }

    impl Validate for Item {
        fn validate(&self, violations: &mut Violations) {
            violations.length("sku", self.sku, 1, 3);
            violations.range("quantity", self.quantity, 1, 10);
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let basket = Basket {
            items: vec![
                Item {
                    sku: "",
                    quantity: 0,
                },
                Item {
                    sku: "long",
                    quantity: 1,
                },
            ],
        };
        let mut violations = Violations::default();
        basket.validate(&mut violations);
        let expected = json!({
            "items[0].sku": ["must not be empty"],
            "items[0].quantity": ["must be 1 to 10"],
            "items[1].sku": ["must have 1 to 3 characters"],
        });
        assert_eq!(Value::Object(violations.into_fields()), expected);
    }
}
