//! Who may do what with which object: the policies that this shop runs by.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use stanchion::auth::Policies;
use stanchion::auth::policy::{PolicyFile, Vocabulary};

/// What the shipped policies are called.
const SHIPPED: &str = "shipped.cedar";

/// What policies can speak of.
pub(crate) fn vocabulary() -> Vocabulary {
    shop_orders::vocabulary()
        .and(shop_payments::vocabulary())
        .roles(&shop_identity::roles())
}

/// The policies that the contexts come with, as one file.
pub(crate) fn shipped() -> String {
    [shop_orders::POLICIES, shop_payments::POLICIES].join("\n")
}

/// The policies in that file, or those that are shipped.
pub(crate) fn read(file: Option<&Path>) -> Result<PolicyFile, String> {
    let (name, text) = match file {
        Some(path) => {
            let name = path.display().to_string();
            let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
            (name, text)
        }
        None => (SHIPPED.to_owned(), shipped()),
    };
    PolicyFile::parse(&name, &text, &vocabulary()).map_err(|faults| faults.to_string())
}

/// What decides at run time.
pub(crate) fn deciding(file: PolicyFile) -> Result<Arc<dyn Policies>, String> {
    #[cfg(feature = "authz-cedar")]
    return stanchion::auth::policy::CedarPolicies::of(&file)
        .map(|policies| Arc::new(policies) as Arc<dyn Policies>)
        .map_err(|faults| faults.to_string());
    #[cfg(not(feature = "authz-cedar"))]
    Ok(Arc::new(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_policies_pass_their_check() {
        let policies = read(None).unwrap();
        assert_eq!(policies.summaries().count(), 6);
    }
}
