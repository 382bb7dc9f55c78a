//! Our event log: `ours URL CASE WRITERS SECONDS EVENTS`. URL chooses the database: `postgresql://…` or `sqlite://DIR`.
//!
//! | case | what |
//! |---|---|
//! | `append`, `append10` | the bare log, one event or ten an append |
//! | `repository` | the same through a repository: load, decide, append |
//! | `work`, `work-row` | a unit of work that records an event; with a row of its own as well |
//! | `one-statement` | for comparison: one statement an append under an advisory lock; `:unordered` with a sequence |
//! | `copy`, `copy-lean` | the limit: COPY into our table; into a narrow one |
//! | `raw` | SQLite's limit: transactions of 1,000 rows |
//! | `feed`, `stream` | reading all of the log; reading streams of 100 events |
//! | `project`, `project-folded`, `project-one` | a projection; one that folds a batch; one transaction an event |
//! | `ack` | from the answer of an append to a follower in another process: `:poll=MS` without the log's hints |

mod append;
mod copy;
mod follow;
mod one_statement;
mod project;
mod raw;
mod read;
mod store;
mod work;

use load::{Job, Report};

fn main() {
    let job = Job::from_arguments();
    load::block_on(&job, run(&job)).print();
}

async fn run(job: &Job) -> Report {
    match job.case.as_str() {
        "append" | "append10" => append::bare(job).await,
        "repository" => append::repository(job).await,
        "work" | "work-row" => work::run(job).await,
        "one-statement" => one_statement::run(job).await,
        "copy" | "copy-lean" => copy::run(job).await,
        "raw" => raw::run(job).await,
        "feed" => read::feed(job).await,
        "stream" => read::stream(job).await,
        "project" | "project-folded" => project::run(job).await,
        "project-one" => project::one_by_one(job).await,
        "ack" => follow::run(job).await,
        // Parts of `ack`, each in a process of its own.
        "ack-writer" => follow::write(job).await,
        "ack-follower" => follow::follow(job).await,
        other => panic!("ours has no case {other}"),
    }
}
