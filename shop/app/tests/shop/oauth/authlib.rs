//! Authlib from PyPI: a client that shares nothing with the server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use stanchion_testing::process::Launch;

use super::support::{app, service};
use crate::support::{PASSWORD, Shop, needs};

const PACKAGES: [&str; 3] = ["authlib>=1.6,<2", "joserfc>=1,<2", "requests>=2,<3"];

const DONE_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test]
async fn an_independent_client_does_everything_and_is_refused_what_it_should_not_get() {
    let Some(python) = python() else {
        return;
    };
    let shop = Shop::start().await;
    shop.customer("ada").await;
    let robot = shop
        .client(service(&["order:read", "inventory:read"]))
        .await;
    let (kettle, public) = (
        shop.client(app("confidential")).await,
        shop.client(app("public")).await,
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shop/oauth/authlib_client.py");
    let mut client = Launch::new(python)
        .arg(script)
        .env("ISSUER", format!("http://{}", shop.address))
        .env("ROBOT", format!("{}:{}", robot.id, robot.secret.unwrap()))
        .env(
            "CONFIDENTIAL",
            format!("{}:{}", kettle.id, kettle.secret.unwrap()),
        )
        .env("PUBLIC", public.id)
        .env("LOGIN", "ada")
        .env("PASSWORD", PASSWORD)
        // Authlib wants TLS unless it is told that this is a test.
        .env("AUTHLIB_INSECURE_TRANSPORT", "1")
        .spawn()
        .unwrap();
    let status = client.wait(DONE_WITHIN).await.unwrap();
    let said = client.stdout() + &client.stderr();
    assert!(status.success(), "{said}");
    for part in [
        "discovery",
        "client credentials",
        "code with PKCE",
        "ID token",
        "userinfo",
        "introspection",
        "refresh",
        "revocation",
        "refusals",
    ] {
        assert!(said.contains(&format!("ok: {part}")), "no {part}: {said}");
    }
}

/// A Python with Authlib, below `target`, made once; `None`, said loudly, where it cannot be had.
fn python() -> Option<PathBuf> {
    let system = needs::program(&["python3"])?;
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/authlib-venv");
    let (python, done) = (venv.join("bin/python"), venv.join("done"));
    if done.is_file() {
        return Some(python);
    }
    let made = succeeds(Command::new(system).args(["-m", "venv"]).arg(&venv));
    let pip = [
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
    ];
    if made && succeeds(Command::new(venv.join("bin/pip")).args(pip).args(PACKAGES)) {
        std::fs::write(done, "").unwrap();
        return Some(python);
    }
    stanchion_testing::servers::skip("python3-venv and PyPI's authlib");
    None
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
