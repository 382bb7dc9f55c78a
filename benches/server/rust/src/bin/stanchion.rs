//! Ours: `stanchion ADDRESS VARIANT [COLLECTOR]`; log lines go to standard error.
//!
//! VARIANT is `full`, or the same with something left out: `unlogged` writes no line a request, `plain` starts no
//! telemetry at all. `described` is the full one with a route of ours instead of axum's, `grpc` with a gRPC service.

use stanchion_server::{
    AdminSettings, Anyone, Answer, Grpc, Module, PathId, Routes, ServerSettings, Service, Stopped, op,
};
use stanchion_telemetry::{LogFormat, TelemetrySettings, init};

/// The share of traces that is exported.
const SAMPLED: f64 = 0.01;

#[derive(serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
struct Hello {
    id: String,
    message: String,
    number: u32,
}

/// The same data in the envelope, with stated access, from a route that describes itself.
async fn hello(_: Anyone, PathId(id): PathId<String>) -> Answer<Hello> {
    let message = format!("Hello, {id}!");
    let number = 42;
    Answer::ok(Hello {
        id,
        message,
        number,
    })
}

fn module(variant: &str) -> Module {
    let module = Module::new("hello");
    match variant {
        "described" => module.routes(Routes::new().get("/hello/{id}", op("Greet", hello))),
        "grpc" => {
            let grpc = Grpc::new(server::Checks, server::descriptors());
            module.grpc(grpc.allow::<Anyone>("Check").allow::<Anyone>("Watch"))
        }
        _ => module.http_router(server::application()),
    }
}

#[tokio::main]
async fn main() -> Stopped {
    let variant = std::env::args().nth(2).unwrap_or_else(|| "full".to_owned());
    let level = if variant == "unlogged" { "warn" } else { "info" };
    let settings = TelemetrySettings {
        log: level.to_owned(),
        format: Some(LogFormat::Json),
        otlp_endpoint: std::env::args().nth(3),
        sampled: SAMPLED,
    };
    let mut service = Service::new(ServerSettings {
        listen: server::address().parse().expect("an address"),
        ..ServerSettings::default()
    });
    if variant != "plain" {
        let telemetry = init(&settings, "bench").expect("telemetry starts once");
        service = service.metrics(telemetry.metrics().clone());
    }
    let admin = AdminSettings {
        listen: "127.0.0.1:0".parse().expect("an address"),
        ..AdminSettings::default()
    };
    service.base_path("").mount(module(&variant)).admin(admin).run().await
}
