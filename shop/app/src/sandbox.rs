//! The payment gateway of our own: beside the shop, or alone as `shop sandbox`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use clap::{Arg, ArgMatches, Command};
use secrecy::ExposeSecret;
use shop_sandbox::{Running, Sandbox, Settings};
use stanchion::server::{Addresses, Options, Stopped};
use stanchion::sql::DatabaseUrl;
use tokio::signal::unix::{SignalKind, signal};

use crate::settings::{SANDBOX, ShopSettings};

/// Starts it, if the shop is to pay there.
pub(crate) async fn start(settings: &ShopSettings) -> anyhow::Result<Option<Running>> {
    if settings.payments.gateway_url != SANDBOX {
        return Ok(None);
    }
    let sandbox = Sandbox::start(Settings {
        database: Some(books(settings)),
        webhook_url: settings.payments.webhook_url.clone(),
        ..Settings::default()
    });
    Ok(Some(sandbox.await.context("the sandbox gateway")?))
}

/// Ends it once nobody calls it any more.
pub(crate) async fn stop(sandbox: Arc<Running>) {
    // The only other holder was done when the service had started.
    if let Some(sandbox) = Arc::into_inner(sandbox) {
        sandbox.stop().await;
    }
}

/// Where its webhooks go unless a setting says it: to wherever this process listens.
pub(crate) struct Webhooks(Option<Arc<Running>>);

impl Webhooks {
    pub(crate) fn of(settings: &ShopSettings, sandbox: Option<Arc<Running>>) -> Self {
        let told = settings.payments.webhook_url.is_some();
        Self(sandbox.filter(|_| !told))
    }

    pub(crate) fn come_to(self, addresses: &Addresses) {
        if let (Self(Some(sandbox)), Some(public)) = (self, addresses.public) {
            sandbox.deliver_to(webhook_url(public));
        }
    }
}

fn webhook_url(public: SocketAddr) -> String {
    let ip = match public.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let reachable = SocketAddr::new(ip, public.port());
    format!("http://{reachable}/api/v1/payments/webhook")
}

/// Its books outlive the process whatever the shop's stores are: it must know what it has taken.
fn books(settings: &ShopSettings) -> DatabaseUrl {
    DatabaseUrl::sqlite(settings.folder().unwrap_or_else(|| "data".into()))
}

/// `shop sandbox`.
pub(crate) fn command() -> Command {
    Command::new("sandbox")
        .about("Runs the payment gateway alone")
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDRESS")
                .value_parser(clap::value_parser!(SocketAddr))
                .default_value("127.0.0.1:9300")
                .help("Where it listens; a loopback address"),
        )
}

/// Runs the payment gateway alone, until SIGTERM or SIGINT.
pub(crate) async fn run(options: Options, given: ArgMatches) -> Result<(), Stopped> {
    let settings = crate::load(&options)?.value;
    let mut terminate = signal(SignalKind::terminate()).map_err(Stopped::failed)?;
    let defaults = Settings::default();
    let listen = given.get_one::<SocketAddr>("listen").copied();
    let sandbox = Sandbox::start(Settings {
        listen: listen.unwrap_or(defaults.listen),
        database: Some(books(&settings)),
        key: settings.payments.gateway_key.clone(),
        webhook_secret: settings.payments.webhook_secret.clone(),
        webhook_url: settings.payments.webhook_url.clone(),
        ..defaults
    });
    let sandbox = sandbox.await.map_err(Stopped::failed)?;
    let (key, secret) = (sandbox.key.expose_secret(), &sandbox.webhook_secret);
    println!(
        "sandbox gateway at {}    key {key}    webhooks signed with {}",
        sandbox.url,
        secret.expose_secret()
    );
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Stopped::failed)?,
    }
    sandbox.stop().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_come_to_an_address_that_can_be_reached() {
        for (public, host) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.7:443", "192.0.2.7:443"),
        ] {
            let url = webhook_url(public.parse().expect("an address"));
            assert_eq!(url, format!("http://{host}/api/v1/payments/webhook"));
        }
    }
}
