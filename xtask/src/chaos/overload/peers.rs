//! The programs, and how they are started.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stanchion_testing::process::{Launch, ServiceProcess, free_port};

use super::asked::{self, Asked, Load};
use crate::workspace;

const READY_WITHIN: Duration = Duration::from_secs(60);
/// A load ends so long after its time at the latest.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// Before whatever else runs here: what is measured is the service, not its neighbours.
const NICE: &str = "-15";

/// The binaries.
pub(super) struct Programs {
    folder: PathBuf,
}

/// The service, its stub, and where they are.
pub(super) struct Served {
    pub(super) service: ServiceProcess,
    pub(super) url: String,
    pub(super) admin_url: String,
    pub(super) stub_url: String,
    _stub: ServiceProcess,
}

impl Programs {
    /// All of them optimised: an answer of a debug build costs so much that the machine is full of answers alone.
    pub(super) fn build(with_shop: bool) -> Result<Self> {
        let names: &[&str] = match with_shop {
            true => &["overload", "shop"],
            false => &["overload"],
        };
        let folder = workspace::programs(names, true)?;
        Ok(Self { folder })
    }

    /// A program of the optimised build.
    fn overload(&self) -> Launch {
        first(&self.folder.join("overload"))
    }

    /// The shop.
    pub(super) fn shop(&self) -> Launch {
        first(&self.folder.join("shop"))
    }

    /// Starts the stub and the service.
    pub(super) async fn serve(&self) -> Result<Served> {
        let (stub, public, admin) = (free_port()?, free_port()?, free_port()?);
        let at = |port: u16| format!("127.0.0.1:{port}");
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let dependency = self
            .overload()
            .arg("stub")
            .arg(format!("--listen={}", at(stub)))
            .ready_when(format!("{}/ready", url(stub)))
            .start(READY_WITHIN)
            .await?;
        let service = self
            .overload()
            .arg("serve")
            .arg(format!("--listen={}", at(public)))
            .arg(format!("--admin={}", at(admin)))
            .arg(format!("--stub={}", url(stub)))
            .env("RUST_LOG", "warn")
            .ready_when(format!("{}/ready", url(public)))
            .start(READY_WITHIN)
            .await?;
        Ok(Served {
            service,
            url: url(public),
            admin_url: url(admin),
            stub_url: url(stub),
            _stub: dependency,
        })
    }

    /// Sends the load, to its end.
    pub(super) async fn ask(&self, load: &Load) -> Result<Vec<Asked>> {
        let arguments = load.arguments.iter();
        let launch = arguments.fold(self.overload(), |launch, argument| launch.arg(argument));
        let mut load_process = launch.spawn()?;
        let within = Duration::from_secs_f64(load.seconds) + ENDS_WITHIN;
        let ended = load_process.wait(within).await?;
        ensure!(ended.success(), "the load: {}", load_process.stderr());
        asked::parse(&load_process.stdout()).context("what the load printed")
    }
}

/// As root before others, else beside them: `nice` says that it cannot and goes on.
fn first(binary: &std::path::Path) -> Launch {
    Launch::new("nice").arg("-n").arg(NICE).arg(binary)
}
