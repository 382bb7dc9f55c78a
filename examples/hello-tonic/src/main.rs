//! Somebody's own tonic service, unchanged, wrapped in three lines.

use axum::Router;
use stanchion::config::Loader;
use stanchion::server::{AdminSettings, Module, ServerSettings, Service, Stopped};
use stanchion::telemetry::{TelemetrySettings, init};
use tonic::service::Routes;
use tonic_health::server::health_reporter;

stanchion::config::settings! {
    /// What it can be told, `HELLO__SERVER__LISTEN` for example.
    struct Settings {
        /// Where and how it serves.
        pub server: ServerSettings = section,
        /// The operator's port.
        pub admin: AdminSettings = section,
        /// Logs and traces.
        pub telemetry: TelemetrySettings = section,
    }
}

/// Any service that tonic generates is added in the same way.
fn application() -> Router {
    let (_, health) = health_reporter();
    Routes::new(health).prepare().into_axum_router()
}

#[tokio::main]
async fn main() -> Stopped {
    let settings = match Loader::new("HELLO")
        .process_environment()
        .load::<Settings>()
    {
        Ok(loaded) => loaded.value,
        Err(problems) => return problems.into(),
    };
    let _telemetry = init(&settings.telemetry, "hello-tonic");
    let module = Module::new("hello").http_router(application());
    let service = Service::new(settings.server).mount(module);
    service.admin(settings.admin).run().await
}
