//! aiosmtpd: STARTTLS, TLS from the start, users, refusals.

use stanchion_mail::{MailError, MailSettings};
use stanchion_testing::servers::{Smtp, SmtpOptions};

use super::support::{Certificates, is_unavailable, mail, send, settings};

const PASSWORD: &str = "hunter2-canary";

fn with_user(certificates: &Certificates, password: &str) -> MailSettings {
    MailSettings {
        user: Some("shop".into()),
        password: Some(password.into()),
        tls_roots: Some(certificates.path("roots.pem")),
        ..settings()
    }
}

fn only(server: &Smtp) -> String {
    let mut mails = server.mails().unwrap();
    assert_eq!(mails.len(), 1, "{mails:?}");
    mails.remove(0)
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_sent() {
    let Some(server) = Smtp::required() else {
        return;
    };
    let url = format!("smtp+plain://{}", server.address());
    send(&url, &settings(), &mail("ada@example.com"))
        .await
        .unwrap();
    let taken = only(&server);
    for part in [
        r#""from": "no-reply@shop.example""#,
        r#""to": ["ada@example.com"]"#,
        r"Message-ID: <00000000-0000-0000-0000-000000000007@shop.example>\r\n",
        // The dot alone ended nothing: it was stuffed on the way, and taken out there.
        r"One line.\r\n.\r\nA dot alone above.\r\n",
    ] {
        assert!(taken.contains(part), "{part} is not in {taken}");
    }
}

#[tokio::test]
async fn user_and_password_go_over_tls_alone() {
    let certificates = Certificates::make();
    for (from_the_start, scheme) in [(false, "smtp"), (true, "smtps")] {
        let options = SmtpOptions::default().tls(certificates.of_server(from_the_start));
        let Some(server) = options.user("shop", PASSWORD).required() else {
            return;
        };
        let url = format!("{scheme}://{}", server.address());
        let settings = with_user(&certificates, PASSWORD);
        send(&url, &settings, &mail("ada@example.com"))
            .await
            .unwrap();
        let taken = only(&server);
        assert!(taken.contains(r#""tls": true, "user": "shop""#), "{taken}");
    }
}

#[tokio::test]
async fn a_server_without_tls_gets_no_mail_and_no_password() {
    let Some(server) = SmtpOptions::default().user("shop", PASSWORD).required() else {
        return;
    };
    let certificates = Certificates::make();
    let settings = with_user(&certificates, PASSWORD);
    for scheme in ["smtp", "smtps"] {
        let url = format!("{scheme}://{}", server.address());
        let outcome = send(&url, &settings, &mail("ada@example.com")).await;
        assert!(is_unavailable(&outcome), "{outcome:?}");
    }
    assert!(server.mails().unwrap().is_empty());
}

#[tokio::test]
async fn a_server_that_the_roots_do_not_vouch_for_gets_no_mail() {
    let (certificates, others) = (Certificates::make(), Certificates::make());
    let options = SmtpOptions::default().tls(certificates.of_server(false));
    let Some(server) = options.required() else {
        return;
    };
    let url = format!("smtp://{}", server.address());
    for tls_roots in [None, Some(others.path("roots.pem"))] {
        let settings = MailSettings {
            tls_roots,
            ..settings()
        };
        let outcome = send(&url, &settings, &mail("ada@example.com")).await;
        assert!(is_unavailable(&outcome), "{outcome:?}");
    }
    assert!(server.mails().unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_password_is_no_reason_to_give_a_mail_up() {
    let certificates = Certificates::make();
    let options = SmtpOptions::default().tls(certificates.of_server(false));
    let Some(server) = options.user("shop", "another one").required() else {
        return;
    };
    let url = format!("smtp://{}", server.address());
    let outcome = send(
        &url,
        &with_user(&certificates, PASSWORD),
        &mail("ada@example.com"),
    )
    .await;
    let why = "the server said 535 5.7.8".to_owned();
    assert_eq!(outcome, Err(MailError::Unavailable(why)));
}

#[tokio::test]
async fn what_a_server_refuses_for_good_is_told_from_what_it_may_take_later() {
    let Some(server) = Smtp::required() else {
        return;
    };
    let url = format!("smtp+plain://{}", server.address());
    let refused = send(&url, &settings(), &mail("nobody@example.com")).await;
    assert_eq!(
        refused,
        Err(MailError::Refused("the server said 550 5.1.1".into()))
    );
    let later = send(&url, &settings(), &mail("later@example.com")).await;
    assert_eq!(
        later,
        Err(MailError::Unavailable("the server said 451 4.3.0".into()))
    );
}
