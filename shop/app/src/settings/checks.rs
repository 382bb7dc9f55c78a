//! What stands in the settings and cannot be, or does not suit those who depend on it.

use stanchion::auth::password::Pepper;
use stanchion::config::{Checks, SecretString};
use stanchion::eventsourcing::SealingKey;
use stanchion::mail;

use super::{Environment, PersonalSettings, SANDBOX, ShopSettings};
use crate::broker::SCHEMES;

/// What suits a first look does not suit customers.
pub(super) fn check_environment(settings: &ShopSettings, checks: &mut Checks<'_>) {
    if !settings.broker.is_memory() && !SCHEMES.contains(&settings.broker.scheme()) {
        let mend = "memory:, or a URL that begins with nats:, tls+nats:, amqp:, amqps: or kafka:";
        checks.refuse("broker.url", "this binary has no adapter for it", mend);
    }
    let cache = &settings.cache;
    let is_redis = ["redis://", "rediss://"].map(|scheme| cache.url.starts_with(scheme));
    if !cache.is_memory() && !is_redis.contains(&true) {
        let mend = "memory:, or a URL that begins with redis:// or rediss://";
        checks.refuse("cache.url", "this binary has no adapter for it", mend);
    }
    let gateway = &settings.payments.gateway_url;
    if gateway != SANDBOX && settings.payments.gateway_key.is_none() {
        checks.refuse(
            "payments.gateway_key",
            "a gateway wants a key",
            "set it, or its _FILE",
        );
    }
    let untold = settings.payments.webhook_url.is_none();
    if settings.server.tls.is_on() && gateway == SANDBOX && untold {
        let mend =
            "set a URL whose certificate the sandbox can verify, or the URL of a real gateway";
        checks.refuse(
            "payments.webhook_url",
            "the sandbox would not trust this port's TLS",
            mend,
        );
    }
    check_master_keys(&settings.personal, checks);
    check_identity(settings, checks);
    if settings.environment != Environment::Prod {
        return;
    }
    if settings.personal.master_key.is_none() {
        let mend = "make one with `openssl rand -base64 32`, keep it apart from the database and its backups, and set \
                    personal.master_key, or better its _FILE";
        let what = "prod does not keep the master key of personal data beside them";
        checks.refuse("personal.master_key", what, mend);
    }
    if gateway == SANDBOX {
        let mend = "set the URL of the real one";
        checks.refuse(
            "payments.gateway_url",
            "prod does not take money from a sandbox",
            mend,
        );
    }
    if settings.identity.admin_password.is_none() {
        let mend = "set it, or better its _FILE";
        checks.refuse(
            "identity.admin_password",
            "prod wants the first password to be chosen",
            mend,
        );
    }
    let public = !settings.server.listen.ip().is_loopback();
    if public && !settings.server.behind_proxy && !settings.server.tls.is_on() {
        let mend = "set server.tls.certificate and key, or put a proxy with TLS in front and set server.behind_proxy = true";
        checks.refuse("server.listen", "a public address without TLS", mend);
    }
}

/// Peppers, mail and pages that cannot be used.
fn check_identity(settings: &ShopSettings, checks: &mut Checks<'_>) {
    let identity = &settings.identity;
    for (key, given) in [
        ("identity.password_pepper", &identity.password_pepper),
        (
            "identity.other_password_pepper",
            &identity.other_password_pepper,
        ),
    ] {
        let wrong = |text: &SecretString| Pepper::from_text(text).is_err();
        if given.as_ref().is_some_and(wrong) {
            let mend = "make one with `openssl rand -base64 32`";
            checks.refuse(key, "a pepper is 32 random bytes in base64", mend);
        }
    }
    if let Err(error) = mail::open(&identity.mail, None) {
        let mend = "see `shop config --default`";
        checks.refuse("identity.mail", error.to_string(), mend);
    }
    for (key, page) in [
        ("identity.pages.verification", &identity.pages.verification),
        ("identity.pages.reset", &identity.pages.reset),
    ] {
        let leads = |page: &String| page.contains("{token}") && !page.contains(char::is_whitespace);
        if !page.as_ref().is_none_or(leads) {
            let mend = "write https://shop.example/page#token={token}";
            checks.refuse(key, "a page's address has {token} in it", mend);
        }
    }
}

/// A key that is none is told before anything is opened.
fn check_master_keys(personal: &PersonalSettings, checks: &mut Checks<'_>) {
    let mend = "make one with `openssl rand -base64 32`";
    for (key, given) in [
        ("personal.master_key", &personal.master_key),
        ("personal.other_master_key", &personal.other_master_key),
    ] {
        if given
            .as_ref()
            .is_some_and(|text| SealingKey::from_text(text).is_err())
        {
            checks.refuse(key, "a key is 32 random bytes in base64", mend);
        }
    }
    if personal.other_master_key.is_some() && personal.master_key.is_none() {
        let mend = "set the one that seals as personal.master_key";
        checks.refuse(
            "personal.other_master_key",
            "it is no other without a first",
            mend,
        );
    }
}
