//! The load: requests are sent when they are due, whether the ones before were answered or not.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use stanchion_runtime::task;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::line::Lines;
use crate::tally::{Ended, Tally, times};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    url: String,
    /// A path and how often it is asked a second: `/work=500`. Several at once.
    #[arg(long = "load", value_parser = load)]
    loads: Vec<(String, f64)>,
    /// A path that is posted to, and how often a second; each time as another client, by `X-Forwarded-For`.
    #[arg(long = "post", value_parser = load)]
    posts: Vec<(String, f64)>,
    /// The JSON that is posted; `{n}` is the number of the request. A 401 is an answer to it.
    #[arg(long, default_value = "{}")]
    body: String,
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// A request that takes longer is given up, in milliseconds.
    #[arg(long, default_value_t = 500)]
    timeout_ms: u64,
    /// How often one that was shed, late or failed is sent again, 50 to 200 ms later.
    #[arg(long, default_value_t = 0)]
    retries: u32,
    /// Instead: so many clients who each ask the first path again as soon as they are answered.
    #[arg(long)]
    closed: Option<usize>,
    #[arg(long, default_value_t = 16)]
    connections: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// One that asks.
#[derive(Clone)]
struct Asker {
    lines: Arc<Lines>,
    path: Arc<str>,
    body: Option<Arc<str>>,
    tally: Arc<Mutex<Tally>>,
    timeout: Duration,
    retries: u32,
    begin: Instant,
}

fn load(text: &str) -> Result<(String, f64), String> {
    // A path may have a query.
    let (path, rate) = text.rsplit_once('=').ok_or("a path, = and a rate")?;
    let rate: f64 = rate.parse().map_err(|_| "a rate is a number")?;
    Ok((path.to_owned(), rate))
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let lines = Arc::new(Lines::new(&options.url, options.connections)?);
    let begin = Instant::now();
    let end = begin + Duration::from_secs_f64(options.seconds);
    let body: Arc<str> = options.body.as_str().into();
    let gets = options.loads.iter().map(|load| (load, None));
    let posts = options
        .posts
        .iter()
        .map(|load| (load, Some(Arc::clone(&body))));
    let askers: Vec<(Asker, f64)> = gets
        .chain(posts)
        .map(|((path, rate), body)| {
            let asker = Asker {
                lines: Arc::clone(&lines),
                path: path.as_str().into(),
                body,
                tally: Arc::default(),
                timeout: Duration::from_millis(options.timeout_ms),
                retries: options.retries,
                begin,
            };
            (asker, *rate)
        })
        .collect();
    let lateness = Rc::new(parking_lot::Mutex::new(Vec::new()));
    match options.closed {
        Some(clients) => {
            let (asker, _) = &askers[0];
            let all = (0..clients).map(|_| again_and_again(asker.clone(), end));
            let all: Vec<_> = all.map(|one| task::spawn("client", one)).collect();
            for one in all {
                one.await?;
            }
        }
        None => {
            let open = askers.iter().enumerate().map(|(number, (asker, rate))| {
                let dice = StdRng::seed_from_u64(options.seed + number as u64);
                open_loop(asker.clone(), *rate, end, dice, Rc::clone(&lateness))
            });
            let mut open: Vec<_> = open.map(Box::pin).collect();
            // On one thread: polled together.
            std::future::poll_fn(|context| {
                open.retain_mut(|one| one.as_mut().poll(context).is_pending());
                if open.is_empty() {
                    std::task::Poll::Ready(())
                } else {
                    std::task::Poll::Pending
                }
            })
            .await;
            // Those on their way.
            let rest = Duration::from_millis(options.timeout_ms + 250);
            sleep(rest * (options.retries + 1)).await;
        }
    }
    let asked: Vec<_> = askers
        .into_iter()
        .map(|(asker, _)| std::mem::take(&mut *asker.tally.lock()).summary(asker.path.to_string()))
        .collect();
    let lateness = times(&mut lateness.lock());
    println!("{}", json!({"asked": asked, "sent_late_ms": lateness}));
    Ok(())
}

async fn open_loop(
    asker: Asker,
    rate: f64,
    end: Instant,
    mut dice: StdRng,
    lateness: Rc<Mutex<Vec<u32>>>,
) {
    let gap = 1.0 / rate;
    let mut due = asker.begin;
    while due < end {
        sleep_until(due).await;
        let late = due.elapsed();
        lateness
            .lock()
            .push(u32::try_from(late.as_micros()).unwrap_or(u32::MAX));
        let _sent = task::spawn("ask", asker.clone().ask(dice.random()));
        // A uniform gap of that mean: not in step with anything.
        due += Duration::from_secs_f64(gap * 2.0 * dice.random::<f64>());
    }
}

async fn again_and_again(asker: Asker, end: Instant) {
    let mut seed = 0;
    while Instant::now() < end {
        seed += 1;
        asker.clone().ask(seed).await;
    }
}

impl Asker {
    async fn ask(self, seed: u64) {
        let began = Instant::now();
        self.tally.lock().sent(self.begin.elapsed());
        let mut ended = self.once().await;
        for retry in 0..self.retries {
            if ended == Ended::Ok {
                break;
            }
            let mut dice = StdRng::seed_from_u64(seed.wrapping_add(u64::from(retry)));
            sleep(Duration::from_millis(dice.random_range(50..200))).await;
            ended = self.once().await;
        }
        let mut tally = self.tally.lock();
        tally.ended(ended, began.elapsed(), self.begin.elapsed());
    }

    async fn once(&self) -> Ended {
        let answer = async {
            let response = match &self.body {
                None => self.lines.send(&self.path).await?,
                Some(body) => self.lines.post(&self.path, body).await?,
            };
            let status = response.status().as_u16();
            let told = response.headers().contains_key("retry-after");
            response.into_body().collect().await?;
            anyhow::Ok((status, told))
        };
        match timeout(self.timeout, answer).await {
            Ok(Ok((200..300, _))) => Ended::Ok,
            Ok(Ok((401, _))) if self.body.is_some() => Ended::Ok,
            Ok(Ok((503 | 429, told))) => Ended::Shed { told },
            Ok(_) => Ended::Failed,
            Err(_elapsed) => Ended::Late,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::load;

    #[test]
    fn a_path_may_have_a_query() {
        let asked = load("/products?limit=20=12.5");
        assert_eq!(asked, Ok(("/products?limit=20".to_owned(), 12.5)));
        assert!(load("/products?limit=20").is_ok_and(|(path, _)| path == "/products?limit"));
        assert!(load("/products").is_err() && load("/products=many").is_err());
    }
}
