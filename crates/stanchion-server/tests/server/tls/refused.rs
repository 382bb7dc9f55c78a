//! G5 to G7: what is not spoken, and who is not let in.

use std::process::Command;

use rcgen::date_time_ymd;

use super::*;

/// Whether OpenSSL agrees with the port, given these options; `None` where it is not installed.
async fn openssl_agrees(address: SocketAddr, options: &[&str]) -> Option<bool> {
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", &address.to_string(), "-brief"]);
    openssl.args(options).stdin(std::process::Stdio::null());
    let ran = task::blocking("openssl", move || openssl.output())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&ran.ok()?.stderr).into_owned();
    Some(said.contains("CONNECTION ESTABLISHED"))
}

#[tokio::test]
async fn old_versions_and_weak_suites_are_refused() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let (_running, address) = start(files.settings()).await;
    // OpenSSL itself offers them only when told that nothing is too weak.
    let cases: [(&[&str], bool); 9] = [
        (&["-tls1_3"], true),
        (&["-tls1_2"], true),
        (&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], false),
        (&["-tls1", "-cipher", "ALL:@SECLEVEL=0"], false),
        (&["-tls1_2", "-cipher", "kRSA:@SECLEVEL=0"], false),
        (&["-tls1_2", "-cipher", "kDHE:@SECLEVEL=0"], false),
        (
            &["-tls1_2", "-cipher", "SHA1:SHA256:SHA384:@SECLEVEL=0"],
            false,
        ),
        (
            &["-tls1_2", "-cipher", "NULL:eNULL:aNULL:3DES:@SECLEVEL=0"],
            false,
        ),
        (
            &["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"],
            false,
        ),
    ];
    for (options, expected) in cases {
        let Some(agrees) = openssl_agrees(address, options).await else {
            return eprintln!("skipped: openssl is not installed");
        };
        assert_eq!(agrees, expected, "{options:?}");
    }
}

#[tokio::test]
async fn a_greeting_in_many_records_is_one_and_a_protocol_is_what_was_agreed_on() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let (_running, address) = start(files.settings()).await;
    let mut small = (*authority.client(&[&TLS13], &[H1], None)).clone();
    small.max_fragment_size = Some(32);
    let stream = connect(address, &Arc::new(small)).await.unwrap();
    assert_eq!(ask_http1(stream).await.status(), 200);

    // Agreed on one and speaking the other: the connection ends, and nothing is answered.
    for (agreed, said) in [
        (H2, &b"GET /whoami HTTP/1.1\r\nhost: localhost\r\n\r\n"[..]),
        (H1, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
    ] {
        let client = authority.client(&[&TLS13], &[agreed], None);
        let mut stream = connect(address, &client).await.unwrap();
        stream.write_all(said).await.unwrap();
        let mut answer = Vec::new();
        let ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{said:?} goes on");
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains("nobody"), "{said:?}: {answer}");
    }
}

#[tokio::test]
async fn a_client_whose_certificate_is_not_valid_now_or_for_this_is_refused() {
    let ours = Authority::new("ours");
    let files = Files::of(&ours.identity("localhost"));
    let mutual = TlsSettings {
        client_roots: Some(files.put("clients.pem", &ours.pem())),
        ..files.settings()
    };
    let (_running, address) = start(mutual).await;
    type Change = fn(&mut rcgen::CertificateParams);
    let cases: [(&str, Change, bool); 4] = [
        ("valid", |_| {}, true),
        (
            "over",
            |params| params.not_after = date_time_ymd(2020, 1, 1),
            false,
        ),
        (
            "not yet",
            |params| params.not_before = date_time_ymd(2090, 1, 1),
            false,
        ),
        (
            "for servers alone",
            |params| params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth],
            false,
        ),
    ];
    for (name, change, let_in) in cases {
        let own = ours.identity_with("friend", change);
        for version in [&TLS12, &TLS13] {
            let client = ours.client(&[version], &[H1], Some(&own));
            let answer = answer_of(address, &client).await;
            assert_eq!(answer.is_some(), let_in, "{name}");
        }
    }
}

#[tokio::test]
async fn authorities_of_clients_change_with_an_overlap_and_without_a_restart() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let files = Files::of(&old.identity("localhost"));
    let mutual = TlsSettings {
        client_roots: Some(files.put("clients.pem", &old.pem())),
        ..files.settings()
    };
    let (_running, address) = start(mutual).await;
    let [of_old, of_new] = [&old, &new].map(|authority| authority.identity("friend"));
    // Both trust the server, whose authority stays.
    let [first, second] = [&of_old, &of_new].map(|own| old.client(&[&TLS13], &[H1], Some(own)));
    let let_in = async || {
        let (first, second) = (
            answer_of(address, &first).await,
            answer_of(address, &second).await,
        );
        (first.is_some(), second.is_some())
    };
    assert_eq!(let_in().await, (true, false));
    for (roots, expected) in [
        (format!("{}{}", old.pem(), new.pem()), (true, true)),
        (new.pem(), (false, true)),
    ] {
        files.put("clients.pem", &roots);
        let began = Instant::now();
        while let_in().await != expected {
            assert!(
                began.elapsed() < Duration::from_secs(5),
                "{expected:?} never comes"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn when_the_certificate_ends_is_a_metric() {
    let authority = Authority::new("ours");
    let until = |year| {
        move |params: &mut rcgen::CertificateParams| params.not_after = date_time_ymd(year, 1, 1)
    };
    let files = Files::of(&authority.identity_with("localhost", until(2031)));
    let metrics = stanchion_telemetry::Metrics::default();
    let settings = ServerSettings {
        tls: files.settings(),
        ..settings()
    };
    let running = Service::new(settings)
        .metrics(metrics.clone())
        .start()
        .await
        .unwrap();
    for (at, next) in [(1_924_992_000, Some(2032)), (1_956_528_000, None)] {
        let line = format!(
            "stanchion_server_tls_certificate_expires_timestamp_seconds{{port=\"public\"}} {at}"
        );
        let began = Instant::now();
        while !metrics.encode().contains(&line) {
            assert!(
                began.elapsed() < Duration::from_secs(5),
                "{}",
                metrics.encode()
            );
            sleep(Duration::from_millis(20)).await;
        }
        if let Some(year) = next {
            files.write(&authority.identity_with("localhost", until(year)));
        }
    }
    drop(running);
}
