//! Calls that no client library would send: each is answered in the words of gRPC, and the connection goes on.

use bytes::Bytes;
use http::request::Builder;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use stanchion_runtime::task;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::codec::CompressionEncoding;

use super::*;

const CALLS: u64 = 500;
const MIB: usize = 1024 * 1024;

/// A repeatable chance (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}

/// What is sent, and what may be said of it.
struct Malformed {
    name: &'static str,
    path: &'static str,
    headers: Vec<(String, String)>,
    /// Of the usual headers, one that is left out.
    without: &'static str,
    body: Vec<u8>,
    /// gRPC's status, or that of HTTP where the answer is not gRPC's.
    fits: &'static [u32],
}

fn framed(flag: u8, length: usize, message: &[u8]) -> Vec<u8> {
    let length = (length as u32).to_be_bytes();
    [&[flag][..], &length, message].concat()
}

fn one(dice: &mut Dice) -> Malformed {
    let length = dice.below(200) as usize;
    let message = dice.bytes(length);
    let whole = |message: &[u8]| framed(0, message.len(), message);
    let mut sent = Malformed {
        name: "",
        path: "/grpc.health.v1.Health/Check",
        headers: Vec::new(),
        without: "",
        body: whole(&[]),
        fits: &[],
    };
    let mut header = |name: &str, value: String| sent.headers.push((name.to_owned(), value));
    match dice.below(22) {
        0 => {
            let body = dice.below(5) as usize;
            (sent.name, sent.body, sent.fits) = ("half a prefix", vec![0; body], &[13]);
        }
        1 => {
            let more = 1 + dice.below(1000) as usize;
            sent.body = framed(0, message.len() + more, &message);
            (sent.name, sent.fits) = ("half a message", &[13]);
        }
        2 => {
            let length = 4 * MIB + 1 + dice.below(1 << 31) as usize;
            (sent.name, sent.body, sent.fits) = (
                "a length without measure",
                framed(0, length, &message),
                &[8],
            );
        }
        3 => {
            (sent.name, sent.body, sent.fits) =
                ("compressed by nothing", framed(1, length, &message), &[13])
        }
        4 => {
            let flag = 2 + dice.below(254) as u8;
            (sent.name, sent.body, sent.fits) =
                ("a flag of nothing", framed(flag, length, &message), &[13]);
        }
        5 => {
            header(
                "grpc-encoding",
                ["snappy", "GZIP", "br", ""][dice.below(4) as usize].into(),
            );
            (sent.name, sent.fits) = ("an unknown compression", &[12]);
        }
        6 => {
            header("grpc-encoding", "gzip".into());
            sent.body = framed(1, length + 1, &[&message[..], b"z"].concat());
            (sent.name, sent.fits) = ("gzip that is none", &[13]);
        }
        7 => {
            let values = [
                "",
                "1",
                "S",
                "-1S",
                "1.5S",
                "123456789S",
                "1x",
                "9 S",
                "\u{31}m\u{31}",
            ];
            header(
                "grpc-timeout",
                values[dice.below(values.len() as u64) as usize].into(),
            );
            (sent.name, sent.fits) = ("a timeout that is none", &[3]);
        }
        8 => {
            let paths = [
                "/grpc.health.v1.Health/Nothing",
                "/no.Such/Method",
                "/grpc.health.v1.Health/Check/more",
                "/grpc.health.v1.Health/",
                "/grpc.health.v1.Health/check",
                "/grpc.health.v1.Health/%43heck",
                "//Check",
                "/",
            ];
            sent.path = paths[dice.below(paths.len() as u64) as usize];
            (sent.name, sent.fits) = ("a method that is none", &[12]);
        }
        9 => {
            let types = [
                "application/grpcx",
                "text/plain",
                "application/json",
                "application/grpc-web",
            ];
            header("content-type", types[dice.below(4) as usize].into());
            (sent.name, sent.fits) = ("another content type", &[415]);
        }
        10 => {
            header("te", "gzip".into());
            (sent.name, sent.fits) = ("no trailers wanted", &[0]);
        }
        11 => {
            for number in 0..120 {
                header(&format!("x-{number}"), "y".into());
            }
            (sent.name, sent.fits) = ("120 headers", &[8]);
        }
        12 => {
            header("x-long", "y".repeat(70_000));
            (sent.name, sent.fits) = ("70 kB of metadata", &[8]);
        }
        13 => {
            // Field 1 is text: no UTF-8, too short, of another wire type.
            let wrong: [&[u8]; 3] = [b"\x0a\x02\xff\xfe", b"\x0a\x7fx", b"\x08\x01"];
            sent.body = whole(wrong[dice.below(3) as usize]);
            (sent.name, sent.fits) = ("no such message", &[13]);
        }
        14 => {
            // Groups in groups in groups, of a field that nobody knows.
            let depth = 1_000 + dice.below(100_000) as usize;
            sent.body = whole(&vec![0x13; depth]);
            (sent.name, sent.fits) = ("nested without measure", &[13]);
        }
        15 => {
            let times = 2 + dice.below(10) as usize;
            sent.body = whole(&[]).repeat(times);
            (sent.name, sent.fits) = ("several messages", &[0, 13, 12, 3]);
        }
        16 => {
            // The end of the message is the beginning of the next.
            let short = dice.below(length as u64 + 1) as usize;
            sent.body = framed(0, short, &[&message[..], b"z"].concat());
            (sent.name, sent.fits) = ("a length that is too short", &[0, 13, 12, 3, 8]);
        }
        17 => (sent.name, sent.without, sent.fits) = ("no word of trailers", "te", &[0]),
        18 => {
            // Binary by its name, and no base64.
            header(
                "x-bomb-bin",
                ["!", "A", "====", "A A"][dice.below(4) as usize].into(),
            );
            (sent.name, sent.fits) = ("binary metadata that is none", &[0]);
        }
        19 => {
            let long = "y".repeat(1_000);
            for _ in 0..90 {
                header("x-again", long.clone());
            }
            (sent.name, sent.fits) = ("one name ninety times", &[8]);
        }
        20 => {
            for name in ["grpc-timeout", "grpc-encoding", "grpc-accept-encoding"] {
                header(name, "1S".into());
                header(name, "gzip".into());
            }
            (sent.name, sent.fits) = ("two of what there is one of", &[0, 3, 12, 13]);
        }
        _ => (sent.name, sent.body, sent.fits) = ("no message", Vec::new(), &[13]),
    }
    sent
}

async fn connect(address: SocketAddr) -> http2::SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = shaken.unwrap();
    task::spawn("client", async move { drop(connection.await) });
    sender
}

/// The status, and whether there were details with it.
async fn ask(sender: &mut http2::SendRequest<Full<Bytes>>, sent: &Malformed) -> (u32, bool) {
    let usual = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", "Bearer reader"),
    ];
    let mut request: Builder = http::Request::post(format!("http://localhost{}", sent.path));
    for (name, value) in usual {
        let is_given = sent.headers.iter().any(|(given, _)| given == name);
        if !is_given && name != sent.without {
            request = request.header(name, value);
        }
    }
    for (name, value) in &sent.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::from(sent.body.clone())).unwrap();
    sender.ready().await.expect("the connection goes on");
    let response = sender.send_request(request).await;
    let (head, body) = response
        .unwrap_or_else(|error| panic!("{}: {error:?}", sent.name))
        .into_parts();
    let body = body
        .collect()
        .await
        .unwrap_or_else(|error| panic!("{}: {error:?}", sent.name));
    let trailers = body.trailers().cloned().unwrap_or_default();
    let of = |name: &str| trailers.get(name).or(head.headers.get(name)).cloned();
    let status = match of("grpc-status") {
        Some(status) => status.to_str().unwrap().parse().unwrap(),
        None => u32::from(head.status.as_u16()),
    };
    (status, of("grpc-status-details-bin").is_some())
}

#[tokio::test]
async fn five_hundred_malformed_calls_leave_the_connection_in_good_order() {
    let server = HealthServer::new(Scripted).accept_compressed(CompressionEncoding::Gzip);
    let grpc = Grpc::new(server, FILE_DESCRIPTOR_SET)
        .allow::<Authorized<SeeThings>>("Check")
        .allow::<Authorized<ChangeThings>>("Watch");
    let metrics = Metrics::default();
    let service = Service::new(settings())
        .tokens(std::sync::Arc::new(Tokens))
        .metrics(metrics.clone());
    let service = service.mount(Module::new("scripted").grpc(grpc));
    let running = service.start().await.unwrap();
    let mut sender = connect(running.addresses().public.unwrap()).await;
    let good = Malformed {
        name: "a good call",
        path: "/grpc.health.v1.Health/Check",
        headers: Vec::new(),
        without: "",
        body: framed(0, 0, &[]),
        fits: &[0],
    };
    let seed = 0x5eed_u64;
    println!("seed {seed:#x}");
    let mut dice = Dice(seed);
    for number in 0..CALLS {
        let sent = one(&mut dice);
        let asked = timeout(Duration::from_secs(10), ask(&mut sender, &sent)).await;
        let (status, detailed) =
            asked.unwrap_or_else(|_| panic!("{number}, {}: no answer", sent.name));
        assert!(
            sent.fits.contains(&status),
            "{number}, {}: {status}",
            sent.name
        );
        assert_eq!(
            detailed,
            (1..100).contains(&status),
            "{number}, {}: {status}",
            sent.name
        );
        if number % 10 == 0 {
            assert_eq!(
                ask(&mut sender, &good).await.0,
                0,
                "after {number}, {}",
                sent.name
            );
        }
    }
    assert_eq!(ask(&mut sender, &good).await.0, 0);
    let shown = metrics.encode();
    assert!(shown.contains("stanchion_server_panics_total 0"), "{shown}");
    assert!(shown.contains("stanchion_server_connections 1"), "{shown}");
}

#[tokio::test]
async fn a_compressed_message_is_bounded_by_what_it_unfolds_to() {
    use tower_http::compression::CompressionLayer;
    let zeros = vec![0_u8; 64 * MIB];
    let app = axum::Router::new()
        .route("/", axum::routing::get(async move || zeros))
        .layer(CompressionLayer::new().gzip(true));
    let request = http::Request::get("/").header("accept-encoding", "gzip");
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(app, request).await.unwrap();
    let bomb = response.into_body().collect().await.unwrap().to_bytes();
    assert!(bomb.len() < MIB);
    let server = HealthServer::new(Scripted).accept_compressed(CompressionEncoding::Gzip);
    let grpc = Grpc::new(server, FILE_DESCRIPTOR_SET)
        .allow::<Authorized<SeeThings>>("Check")
        .allow::<Authorized<ChangeThings>>("Watch");
    let service = Service::new(settings()).tokens(std::sync::Arc::new(Tokens));
    let running = service
        .mount(Module::new("scripted").grpc(grpc))
        .start()
        .await
        .unwrap();
    let mut sender = connect(running.addresses().public.unwrap()).await;
    let sent = Malformed {
        name: "a bomb",
        path: "/grpc.health.v1.Health/Check",
        headers: vec![("grpc-encoding".into(), "gzip".into())],
        without: "",
        body: framed(1, bomb.len(), &bomb),
        fits: &[8],
    };
    assert_eq!(ask(&mut sender, &sent).await, (8, true));
}
