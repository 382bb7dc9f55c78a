//! What is compared with what: a table, one line a server.

use std::process::Command;

use super::super::{
    figures::Figure,
    go,
    kits::{self, Kit},
};

/// Ours beside peers at the same job.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) protocol: Protocol,
    pub(super) connections: usize,
    pub(super) figures: &'static [Figure],
    pub(super) ours: Contestant,
    pub(super) peers: Vec<Contestant>,
}

/// What the load speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Grpc,
}

/// A server.
pub(super) struct Contestant {
    /// As the table has it.
    pub(super) about: &'static str,
    pub(super) kit: Kit,
    program: Program,
}

#[derive(Clone, Copy)]
enum Program {
    /// Of benches/server/rust.
    Rust(&'static str),
    /// Ours, in a variant.
    Ours(&'static str),
    Go(&'static str),
    Fastify,
}

impl Contestant {
    const fn new(about: &'static str, program: Program) -> Self {
        let kit = match program {
            Program::Rust(_) | Program::Ours(_) => Kit::Servers,
            Program::Go(_) => Kit::GoServers,
            Program::Fastify => Kit::Fastify,
        };
        Self {
            about,
            kit,
            program,
        }
    }

    /// The program and its arguments: the address first.
    pub(super) fn command(&self, address: &str, collector: &str) -> Vec<String> {
        let rust = |name: &str| kits::built("server", name).display().to_string();
        let mut command = match self.program {
            Program::Rust(name) => vec![rust(name)],
            Program::Ours(_) => vec![rust("stanchion")],
            Program::Go(name) => vec![go::built(name).display().to_string()],
            Program::Fastify => {
                let script = kits::folder().join("fastify/server.js");
                vec!["node".to_owned(), script.display().to_string()]
            }
        };
        command.push(address.to_owned());
        if let Program::Ours(variant) = self.program {
            command.extend([variant.to_owned(), format!("http://{collector}")]);
        }
        command
    }
}

const ALL: &[Figure] = &[Figure::Rate, Figure::P50, Figure::P99, Figure::Cpu];
const RATE: &[Figure] = &[Figure::Rate, Figure::Cpu];

/// As many connections as keep a server busy, on which one request follows the other.
const CONNECTIONS: usize = 32;
/// Each with eight calls under way.
const GRPC_CONNECTIONS: usize = 8;

/// The layers of ours, outside in.
pub(super) const FULL: &str = "full default stack: connection limits, request id, traces (1 % sampled), access log, metrics, \
                    security headers, compression, panic guard, head limits, admission, decompression, deadline, body limit";

/// All of them, in the order in which they run.
pub(super) fn all() -> Vec<Case> {
    vec![
        Case {
            name: "http-json",
            protocol: Protocol::Http,
            connections: CONNECTIONS,
            figures: ALL,
            ours: Contestant::new(FULL, Program::Ours("full")),
            peers: vec![
                Contestant::new("bare axum", Program::Rust("bare_axum")),
                Contestant::new("Go net/http", Program::Go("net_http")),
                Contestant::new("Gin", Program::Go("gin")),
                Contestant::new("Echo", Program::Go("echo")),
                Contestant::new("Fastify", Program::Fastify),
            ],
        },
        Case {
            name: "http-json-parts",
            protocol: Protocol::Http,
            connections: CONNECTIONS,
            figures: RATE,
            ours: Contestant::new(FULL, Program::Ours("full")),
            peers: vec![
                Contestant::new("without the log's lines", Program::Ours("unlogged")),
                Contestant::new("without logs and traces", Program::Ours("plain")),
                Contestant::new(
                    "a described route, in the envelope",
                    Program::Ours("described"),
                ),
            ],
        },
        Case {
            name: "grpc-unary",
            protocol: Protocol::Grpc,
            connections: GRPC_CONNECTIONS,
            figures: ALL,
            ours: Contestant::new(FULL, Program::Ours("grpc")),
            peers: vec![Contestant::new("bare tonic", Program::Rust("bare_tonic"))],
        },
    ]
}

/// What starts a program on one processor; where there is only one, nothing.
pub(super) fn placed(processor: Option<usize>, command: &[String]) -> Command {
    match processor {
        Some(processor) => {
            let mut placed = Command::new("taskset");
            placed.args(["-c", &processor.to_string()]).args(command);
            placed
        }
        None => {
            let mut bare = Command::new(&command[0]);
            bare.args(&command[1..]);
            bare
        }
    }
}
