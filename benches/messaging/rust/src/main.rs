//! A message's whole way, and each stage bare: `messaging URL CASE WRITERS SECONDS EVENTS`. URL is PostgreSQL's; BROKER in
//! the environment says which broker: `memory`, `nats://…` or `amqp://…`.
//!
//! | case | what |
//! |---|---|
//! | `through` | append, relay, broker, consumer, effect committed: first as much as goes, then half of that for the latencies; `:bundle=N` with bundles of at most so many, `:keys=N` with so many keys handled at the same time |
//! | `append` | the bare log |
//! | `broker` | the broker's own client: publish with confirmation, consume, acknowledge |
//! | `effect` | the effect and its inbox row, committed as a consumer's handler does it |

mod amqp;
mod clock;
mod jetstream;
mod stages;
mod store;
mod through;

use load::{Job, Report};

fn main() {
    let job = Job::from_arguments();
    load::block_on(&job, run(&job)).print();
}

async fn run(job: &Job) -> Report {
    let broker = std::env::var("BROKER").unwrap_or_else(|_| "memory".into());
    match job.case.as_str() {
        "through" => through::run(job, &broker).await,
        "append" => stages::append(job).await,
        "effect" => stages::effect(job).await,
        "broker" if broker.starts_with("nats:") => jetstream::run(job, &broker).await,
        "broker" => amqp::run(job, &broker).await,
        other => panic!("there is no case {other}"),
    }
}
