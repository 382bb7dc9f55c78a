//! The rules: a file a rule, registered by its name in this list.

use crate::model::Rule;

mod prelude;

macro_rules! rules {
    ($($name:ident,)*) => {
        $(pub(crate) mod $name;)*
        static ALL: &[&Rule] = &[$(&$name::RULE),*];
    };
}

rules! {
    architecture_drift,
    domain_imports_adapter,
    error_as_text,
    error_by_identity,
    error_cause_lost,
    error_dropped,
    error_swallowed,
    exit_in_library,
    handler_holds_sql,
    import_circle,
    panic_in_request,
    publish_error_ignored,
    suppression_unused,
    suppression_without_reason,
}

/// Every rule, by name.
pub fn all() -> &'static [&'static Rule] {
    ALL
}

/// The rule of a name.
pub fn by_name(name: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.name == name).copied()
}
