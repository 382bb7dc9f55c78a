//! What may be asked for in a `scope`: OpenID Connect's words, `shop`, and names of permissions.

use stanchion::auth::oauth::Scopes;
use stanchion::auth::{Permissions, permission};

/// An ID token, and userinfo.
pub(crate) const OPENID: &str = "openid";
/// The name in userinfo.
pub(crate) const PROFILE: &str = "profile";
/// The e-mail address in userinfo.
pub(crate) const EMAIL: &str = "email";
/// A refresh token.
pub(crate) const OFFLINE: &str = "offline_access";
/// To act as the user in the API, on the user's own objects.
pub(crate) const SHOP: &str = "shop";

/// All that are no permissions.
pub(crate) const WORDS: [&str; 5] = [OPENID, PROFILE, EMAIL, OFFLINE, SHOP];

/// Whether there is such a scope.
pub(crate) fn is_known(scope: &str) -> bool {
    WORDS.contains(&scope) || permission::is_name(scope)
}

/// Whether it counts at userinfo and the token endpoint alone.
pub(crate) fn is_for_userinfo(scope: &str) -> bool {
    WORDS.contains(&scope) && scope != SHOP
}

/// The permissions among these.
pub(crate) fn permissions(scopes: &Scopes) -> Permissions {
    let names = scopes.iter().filter(|scope| permission::is_name(scope));
    // At most 64, each a name.
    Permissions::new(names).unwrap_or_default()
}

/// Whether somebody who logs in can let a client have these: a permission is nothing without acting as the user.
pub(crate) fn suit_a_user(scopes: &Scopes) -> bool {
    !scopes.is_empty() && (scopes.has(SHOP) || permissions(scopes).is_empty())
}

/// What a user is told that a scope means.
pub(crate) fn meaning(scope: &str) -> String {
    match scope {
        OPENID => "Know who you are here".to_owned(),
        PROFILE => "See your name and username".to_owned(),
        EMAIL => "See your e-mail address".to_owned(),
        OFFLINE => "Keep its access while you are away".to_owned(),
        SHOP => "Act as you in the shop: your profile, your orders, your payments".to_owned(),
        permission => format!("Use your permission {permission}, as long as you have it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Scopes {
        text.parse().unwrap()
    }

    #[test]
    fn permissions_are_what_looks_like_one() {
        let mixed = scopes("openid shop order:read *:read");
        assert_eq!(permissions(&mixed).to_string(), "*:read order:read");
        assert!(is_known("order:read") && is_known("openid") && !is_known("phone"));
    }

    #[test]
    fn a_user_gives_no_permission_without_letting_the_client_act() {
        assert!(suit_a_user(&scopes("openid")) && suit_a_user(&scopes("shop order:read")));
        assert!(!suit_a_user(&scopes("openid order:read")) && !suit_a_user(&scopes("")));
    }
}
