//! Which parts of the shop can work apart from the others, told before anything is opened.

use stanchion::server::{Options, Role, Stopped};

use crate::platform::MODULES;
use crate::settings::{SANDBOX, ShopSettings};

/// Whether this process is the whole shop.
pub(crate) fn is_whole(options: &Options) -> bool {
    MODULES.iter().all(|module| options.wants(module)) && options.role == Role::All
}

/// Refuses a part that would wait for ever for what nobody brings it.
pub(crate) fn refuse_what_cannot_work(
    options: &Options,
    settings: &ShopSettings,
) -> Result<(), Stopped> {
    if is_whole(options) {
        return Ok(());
    }
    match why_not(options, settings) {
        Some(why) => Err(Stopped::Usage(why.to_owned())),
        None => Ok(()),
    }
}

fn why_not(options: &Options, settings: &ShopSettings) -> Option<&'static str> {
    let outside = !settings.broker.is_memory();
    if !outside && !settings.can_be_split() {
        return Some(
            "--modules and --role split the shop over processes, but broker.url = \"memory:\" carries \
             messages within one process only; leave both away, or configure a broker. Outside of prod, they \
             work with all stores on PostgreSQL, where each process follows the logs of the others",
        );
    }
    if options.role != Role::All && settings.is_embedded(|module| options.wants(module)) {
        return Some(
            "--role gives a module's store to several processes, but one on SQLite has one process: set \
             database.url to a PostgreSQL database",
        );
    }
    let pays = options.wants("payments") && options.role != Role::All;
    if pays && settings.payments.gateway_url == SANDBOX {
        return Some(
            "the processes of --role pay at one gateway: run `shop sandbox` and set payments.gateway_url to its \
             URL (SHOP__PAYMENTS__GATEWAY_URL), or set that of a real one",
        );
    }
    let asks = |module: &str| options.wants("orders") && !options.wants(module);
    if asks("inventory") && settings.inventory.endpoint.is_none() {
        return Some(
            "orders asks inventory for prices, which --modules leaves out: set inventory.endpoint \
             (SHOP__INVENTORY__ENDPOINT) to the URL of the process that has it",
        );
    }
    if outside && !options.wants("identity") && settings.identity.endpoint.is_none() {
        return Some(
            "tokens and customers' keys are identity's, which --modules leaves out: set identity.endpoint \
             (SHOP__IDENTITY__ENDPOINT) to the URL of the process that has it",
        );
    }
    if settings.auth.issuer.is_none() {
        return Some(
            "every process checks that tokens come from the same issuer: set auth.issuer (SHOP__AUTH__ISSUER) to the \
             public URL, the same in all",
        );
    }
    None
}
