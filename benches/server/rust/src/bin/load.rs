//! Asks a server as fast as it answers: `load http|grpc ADDRESS CONNECTIONS SECONDS`, one JSON line out.
//!
//! Every connection has a fixed number of requests under way: one over HTTP/1.1, several streams over HTTP/2. It speaks
//! both protocols by hand and looks at no more of an answer than it must, so that the server is what is measured.

#[path = "../load/grpc.rs"]
mod grpc;
#[path = "../load/http.rs"]
mod http;
#[path = "../load/tally.rs"]
mod tally;

use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use tally::Tally;
use tokio::task::LocalSet;
use tokio::time::sleep;

/// Not counted, at the start.
const WARM_UP: Duration = Duration::from_millis(500);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [protocol, address, connections, seconds] = &arguments[..] else {
        return Err("usage: load http|grpc ADDRESS CONNECTIONS SECONDS".into());
    };
    let tally = Rc::new(Tally::default());
    let tasks = LocalSet::new();
    for _ in 0..connections.parse::<usize>()? {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let tally = Rc::clone(&tally);
        let is_grpc = protocol == "grpc";
        tasks.spawn_local(async move {
            let asked = if is_grpc {
                grpc::ask(stream, &tally).await
            } else {
                http::ask(stream, &tally).await
            };
            // A connection that ends before its time is a failure, whatever the reason.
            if let Err(error) = asked {
                tally.failed(error);
            }
        });
    }
    let seconds = Duration::from_secs_f64(seconds.parse()?);
    let counted = tasks.run_until(async {
        sleep(WARM_UP).await;
        let begun = tally.begin();
        sleep(seconds).await;
        tally.line(begun)
    });
    println!("{}", counted.await?);
    Ok(())
}
