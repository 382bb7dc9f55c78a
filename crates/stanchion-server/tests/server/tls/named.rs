//! G7: of those whom an authority vouches for, the ones that a port and a handler are for.

use rcgen::{DnType, SanType};
use stanchion_config::Loader;

use super::*;

/// Whether it was let in, and if so whether it was taken for the service `orders`.
async fn let_in(address: SocketAddr, client: &Arc<ClientConfig>) -> Option<bool> {
    let answer = answer_of(address, client).await?;
    Some(answer == "orders")
}

/// A service whose handler asks who calls.
async fn serve(tls: TlsSettings) -> (Running, SocketAddr) {
    let whoever = get(
        async |certificates: Option<Extension<ClientCertificates>>| match certificates {
            Some(Extension(chain)) if chain.bears("orders.internal") => "orders",
            Some(_) => "another",
            None => "nobody",
        },
    );
    let router = axum::Router::new().route("/whoami", whoever);
    let settings = ServerSettings { tls, ..settings() };
    let service = Service::new(settings).mount(Module::new("tls").http_router(router));
    let running = service.start().await.unwrap();
    let address = running.addresses().public.unwrap();
    (running, address)
}

#[tokio::test]
async fn of_the_right_authority_only_who_bears_a_name_of_the_port_is_let_in() {
    let ours = Authority::new("ours");
    let theirs = Authority::new("theirs");
    let files = Files::of(&ours.identity("localhost"));
    let named = TlsSettings {
        client_roots: Some(files.put("clients.pem", &ours.pem())),
        client_names: vec!["orders.internal".into(), "10.0.0.7".into()],
        ..files.settings()
    };
    let anybody = TlsSettings {
        client_names: Vec::new(),
        ..named.clone()
    };
    let optional = TlsSettings {
        clients: ClientProof::Optional,
        ..named.clone()
    };
    let by_address = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![SanType::IpAddress("10.0.0.7".parse().unwrap())];
    };
    // Its name stands where nobody looks any more.
    let commonly = |params: &mut rcgen::CertificateParams| {
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "orders.internal");
    };
    let certificates = [
        Some(ours.identity("orders.internal")),
        Some(ours.identity_with("10.0.0.7", by_address)),
        Some(ours.identity("payments.internal")),
        Some(ours.identity("orders.internal.example")),
        Some(ours.identity_with("payments.internal", commonly)),
        Some(theirs.identity("orders.internal")),
        None,
    ];
    let yes = Some(true);
    let no = Some(false);
    for (tls, expected) in [
        (named, [yes, no, None, None, None, None, None]),
        (anybody, [yes, no, no, no, no, None, None]),
        (optional, [yes, no, None, None, None, None, no]),
    ] {
        let said = format!("{:?} {:?}", tls.clients, tls.client_names);
        let (_running, address) = serve(tls).await;
        for version in [&TLS12, &TLS13] {
            let mut seen = Vec::new();
            for own in &certificates {
                let client = ours.client(&[version], &[H1], own.as_ref());
                seen.push(let_in(address, &client).await);
            }
            assert_eq!(seen, expected, "{said}");
        }
    }
}

#[test]
fn names_that_are_none_or_that_nobody_asks_for_stop_the_start() {
    let refused = |given: &[(&str, &str)]| {
        let files = [("CERTIFICATE", "a"), ("KEY", "b")];
        let all = files.iter().chain(given);
        let all = all.map(|(name, value)| (format!("T__{name}"), (*value).to_owned()));
        let loaded = Loader::new("T").environment(all).load::<TlsSettings>();
        loaded.err().map(|problems| problems.to_string())
    };
    let (roots, name) = (
        ("CLIENT_ROOTS", "c"),
        ("CLIENT_NAMES", r#"["orders.internal"]"#),
    );
    assert_eq!(refused(&[roots, name]), None);
    for wrong in [vec![name], vec![roots, ("CLIENT_NAMES", r#"["no name"]"#)]] {
        let refused = refused(&wrong).unwrap();
        assert!(refused.contains("client_names"), "{refused}");
    }
}
