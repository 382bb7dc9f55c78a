//! The operator's port over TLS, asked by a client and by the program's own commands.

use std::path::PathBuf;

use stanchion_config::Loader;
use stanchion_server::AdminSettings;

use super::*;
use crate::policies::operate;
use crate::shop::service;

/// What an operator has who is let in.
struct Operator {
    files: Files,
    roots: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Operator {
    fn of(authority: &Authority) -> Self {
        let files = Files::of(&authority.identity("admin.internal"));
        let own = authority.identity("operator");
        Self {
            roots: files.put("roots.pem", &authority.pem()),
            certificate: files.put("operator.pem", &own.chain),
            key: files.put("operator.key", &own.key),
            files,
        }
    }

    fn admin(&self, listen: SocketAddr) -> AdminSettings {
        AdminSettings {
            listen,
            tls: TlsSettings {
                client_roots: Some(self.roots.clone()),
                ..self.files.settings()
            },
            client_certificate: Some(self.certificate.clone()),
            client_key: Some(self.key.clone()),
            ..AdminSettings::default()
        }
    }
}

async fn start_admin(operator: &Operator) -> (Running, SocketAddr) {
    let any = "127.0.0.1:0".parse().unwrap();
    let running = service().admin(operator.admin(any)).start().await.unwrap();
    let address = running.addresses().admin.unwrap();
    (running, address)
}

#[tokio::test]
async fn only_who_has_a_certificate_reaches_the_operators_port() {
    let authority = Authority::new("ours");
    let operator = Operator::of(&authority);
    let (_running, address) = start_admin(&operator).await;

    let own = authority.identity("operator");
    let client = authority.client(&[&TLS13], &[H1], Some(&own));
    let name = ServerName::try_from("admin.internal").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = TlsConnector::from(client).connect(name, stream).await;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream.unwrap()))
        .await
        .unwrap();
    drive(connection);
    let request = Request::get("/metrics").header("host", "localhost");
    let asked = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap());
    let answer = read(asked.await.unwrap()).await;
    assert_eq!(answer.status(), 200);
    assert!(
        answer
            .body()
            .contains("stanchion_server_tls_certificate_expires_timestamp_seconds{port=\"admin\"}"),
        "{}",
        answer.body()
    );

    let mut plain = Line::open(address).await;
    plain.get("/metrics").await;
    let (head, body) = plain.answer().await.unwrap();
    assert!(
        head.starts_with("http/1.1 400") && body.contains("https://"),
        "{head}{body}"
    );

    let nobody = authority.client(&[&TLS13], &[H1], None);
    let name = ServerName::try_from("admin.internal").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let told = async {
        let mut stream = TlsConnector::from(nobody).connect(name, stream).await?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.map(|_| answer)
    };
    let told: io::Result<Vec<u8>> = told.await;
    assert!(told.is_err(), "{told:?}");
}

#[tokio::test]
async fn the_programs_own_commands_come_by_tls_and_trust_one_certificate() {
    let authority = Authority::new("ours");
    let operator = Operator::of(&authority);
    let (_running, address) = start_admin(&operator).await;
    let admin = || operator.admin(address);
    assert_eq!(operate(service().admin(admin()), "policies").await, 0);

    let without = AdminSettings {
        client_certificate: None,
        client_key: None,
        ..admin()
    };
    assert_eq!(operate(service().admin(without), "policies").await, 1);

    // Of the same authority and for the same name, but not the one that the service shows.
    let other = Operator::of(&authority);
    assert_eq!(
        operate(service().admin(other.admin(address)), "policies").await,
        1
    );

    let plain = AdminSettings {
        listen: address,
        ..AdminSettings::default()
    };
    assert_eq!(operate(service().admin(plain), "policies").await, 1);
}

#[test]
fn an_open_address_wants_a_token_or_mutual_tls() {
    let mutual = [
        ("TLS__CERTIFICATE", "a.crt"),
        ("TLS__KEY", "a.key"),
        ("TLS__CLIENT_ROOTS", "roots.crt"),
    ];
    let cases: [(&[(&str, &str)], bool); 6] = [
        (&[], false),
        (&[("TOKEN", "open sesame")], true),
        (&mutual[..2], false),
        (&mutual, true),
        (
            &[
                mutual[0],
                mutual[1],
                mutual[2],
                ("TLS__CLIENTS", "optional"),
            ],
            false,
        ),
        (&[("TOKEN", "open sesame"), ("CLIENT_KEY", "b.key")], false),
    ];
    for (given, fits) in cases {
        let given = given.iter().chain(&[("LISTEN", "0.0.0.0:9090")]);
        let variables = given.map(|(key, value)| (format!("T__{key}"), (*value).to_owned()));
        let loaded = Loader::new("T")
            .environment(variables)
            .load::<AdminSettings>();
        assert_eq!(loaded.is_ok(), fits, "{loaded:?}");
    }
}
