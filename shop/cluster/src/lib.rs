//! The shop as it runs in production, on one machine: identity, inventory, orders and payments as services, each with a
//! process that serves requests and one that works, a payment gateway, and one address before all of them.
//!
//! Stores and broker are the caller's. Everything ends with the [`Cluster`]; nothing outlives the process that made it.

mod broker;
mod certificates;
mod front;
mod plan;
mod service;
mod view;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use stanchion_testing::process::{Launch, ServiceProcess, free_port};

pub use broker::Broker;
pub use certificates::Certificates;
pub use front::is_installed as has_front;
pub use plan::Plan;
use plan::{common, endpoint};
use service::{ROLES, Role};

pub use service::Service;
pub use view::{Parked, Row, table};

/// The contexts, in the order they are started.
pub const CONTEXTS: [&str; 4] = ["identity", "inventory", "orders", "payments"];

/// The first administrator's password.
pub const ADMIN_PASSWORD: &str = "correct horse battery staple";

/// The payment gateway, where something is named.
pub const GATEWAY: &str = "gateway";

/// Longest time of a migration.
const MIGRATED_WITHIN: Duration = Duration::from_secs(60);

/// A shop of nine processes or more, and a proxy. Dropped, it is killed.
pub struct Cluster {
    plan: Plan,
    common: Launch,
    services: Vec<Service>,
    gateway_launch: Launch,
    gateway: Option<ServiceProcess>,
    front: ServiceProcess,
    /// The one address.
    address: String,
    /// Of the first process that serves each context.
    ports: [u16; 4],
}

impl Cluster {
    /// Makes schemas, starts the gateway, every service and the front, and waits for none but the gateway.
    ///
    /// # Errors
    /// A program is missing, a port is taken, or a schema could not be made.
    pub async fn spawn(plan: Plan) -> Result<Self> {
        ensure!(front::is_installed(), "a cluster needs haproxy");
        fs::create_dir_all(&plan.folder)?;
        let ports = CONTEXTS.iter().map(|_| free_ports(plan.apis.max(1)));
        let ports: Vec<Vec<u16>> = ports.collect::<Result<_>>()?;
        let address = match plan.listen {
            Some(port) => port,
            None => free_port()?,
        };
        let gateway_port = free_port()?;
        let common = common(&plan, &ports, gateway_port);
        migrate(&common).await?;
        let gateway_launch = common
            .clone()
            .arg("sandbox")
            .arg(format!("--listen=127.0.0.1:{gateway_port}"))
            .env(
                "SHOP__PAYMENTS__WEBHOOK_URL",
                format!("http://127.0.0.1:{address}/api/v1/payments/webhook"),
            );
        let mut gateway = None;
        if !plan.absent.contains(&GATEWAY) {
            gateway = Some(gateway_launch.spawn()?);
        }
        let mut services = Vec::new();
        for (context, ports) in CONTEXTS.into_iter().zip(&ports) {
            for (nth, port) in ports.iter().enumerate() {
                let role = Role::Api { nth, port: *port };
                services.push(Service::new(&plan, &common, context, role)?);
            }
            services.push(Service::new(&plan, &common, context, Role::Worker)?);
        }
        for service in &mut services {
            if !plan.absent.iter().any(|name| service.is_of(name)) {
                service.spawn()?;
            }
        }
        let front = front::spawn(&plan.folder, address, &ports, plan.tls.as_ref())?;
        Ok(Self {
            plan,
            common,
            services,
            gateway_launch,
            gateway,
            front,
            address: format!("127.0.0.1:{address}"),
            ports: std::array::from_fn(|nth| ports[nth][0]),
        })
    }

    /// The same, and waits until all of them are ready.
    ///
    /// # Errors
    /// One of them is not within `deadline`; the message carries what it said.
    pub async fn start(plan: Plan, deadline: Duration) -> Result<Self> {
        let mut cluster = Self::spawn(plan).await?;
        cluster.ready(deadline).await?;
        Ok(cluster)
    }

    /// Waits until all that were started are ready, and the front as well.
    ///
    /// # Errors
    /// One of them is not within `deadline`; the message carries what it said.
    pub async fn ready(&mut self, deadline: Duration) -> Result<()> {
        for service in self.services.iter_mut().filter(|one| one.pid().is_some()) {
            let ready = service.ready(deadline).await;
            ready.with_context(|| format!("{} is not ready", service.name()))?;
        }
        self.front.ready(deadline).await.context("the front")?;
        Ok(())
    }

    /// The one address, `HOST:PORT`: REST and gRPC of all contexts.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where the first process of a context serves, as the others call it.
    #[must_use]
    pub fn endpoint(&self, context: &str) -> String {
        let nth = CONTEXTS.iter().position(|name| *name == context);
        endpoint(&self.plan, self.ports[nth.unwrap_or_default()])
    }

    /// The folder that the gateway's books are in.
    #[must_use]
    pub fn books(&self) -> PathBuf {
        self.plan.folder.join("data")
    }

    /// All services, in the order they were started.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// One of them by its name, such as `orders-api`.
    ///
    /// # Errors
    /// There is none.
    pub fn service(&mut self, name: &str) -> Result<&mut Service> {
        let found = self.services.iter_mut().find(|one| one.name() == name);
        found.with_context(|| format!("no service `{name}`"))
    }

    /// Kills every service at once; the gateway and the front stay.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> Result<()> {
        // First all of them, then the wait for each: nobody goes on alone while another one is waited for.
        self.services.iter_mut().try_for_each(Service::strike)?;
        self.services.iter_mut().try_for_each(Service::kill)
    }

    /// Kills both services of a context, or the [`GATEWAY`].
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill_one(&mut self, name: &str) -> Result<()> {
        if name == GATEWAY {
            return match self.gateway.take() {
                Some(mut gateway) => gateway.kill().map(drop),
                None => Ok(()),
            };
        }
        let mut of_it = self.services.iter_mut().filter(|one| one.is_of(name));
        of_it.try_for_each(Service::kill)
    }

    /// Starts everything anew that does not run, and waits until it is ready.
    ///
    /// # Errors
    /// Something is not within `deadline`.
    pub async fn restart(&mut self, deadline: Duration) -> Result<()> {
        if self.gateway.is_none() {
            self.gateway = Some(self.gateway_launch.spawn()?);
        }
        for service in &mut self.services {
            service.spawn()?;
        }
        self.ready(deadline).await
    }

    /// Makes the schemas as that binary wants them, as an operator does before its first process starts.
    ///
    /// # Errors
    /// It could not.
    pub async fn migrate(&self, binary: &Path) -> Result<()> {
        migrate(&self.common.clone().binary(binary)).await
    }

    /// The first service that ended without being told to, with how.
    ///
    /// # Errors
    /// The system cannot say.
    pub fn ended(&mut self) -> Result<Option<String>> {
        for service in &mut self.services {
            if let Some(status) = service.exited()? {
                return Ok(Some(format!("{} ended with {status}", service.name())));
            }
        }
        if let Some(gateway) = &mut self.gateway
            && gateway.exited()?.is_some()
        {
            bail!("the gateway ended\n{}", gateway.stderr());
        }
        if let Some(status) = self.front.exited()? {
            bail!("the front ended with {status}\n{}", self.front.stdout());
        }
        Ok(None)
    }

    /// Stops all in order: first who serves, then who works, then gateway and front; each within `deadline`.
    ///
    /// # Errors
    /// One of them ended otherwise than cleanly; the others are stopped nevertheless.
    pub async fn stop(mut self, deadline: Duration) -> Result<()> {
        let mut wrong = Vec::new();
        for role in ROLES {
            let of_role = self.services.iter_mut().filter(|one| one.role() == role);
            let mut of_role: Vec<&mut Service> = of_role.collect();
            for service in &mut of_role {
                service.terminate()?;
            }
            for service in of_role {
                if let Err(error) = service.stopped(deadline).await {
                    wrong.push(format!("{}: {error:#}", service.name()));
                }
            }
        }
        if let Some(mut gateway) = self.gateway.take() {
            gateway.terminate(deadline).await?;
        }
        self.front.terminate(deadline).await?;
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    }
}

fn free_ports(count: usize) -> Result<Vec<u16>> {
    (0..count).map(|_| free_port()).collect()
}

async fn migrate(common: &Launch) -> Result<()> {
    let mut process = common.clone().arg("migrate").spawn()?;
    let status = process.wait(MIGRATED_WITHIN).await?;
    let said = process.stdout() + &process.stderr();
    ensure!(status.success(), "migrate ended with {status}\n{said}");
    Ok(())
}
