//! An identity provider with a certificate: discovery and keys, and the tokens it signs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use stanchion::auth::key::{SigningAlgorithm, SigningKey};
use stanchion::runtime::clock;
use stanchion::server::{Module, Running, ServerSettings, Service, TlsSettings};
use tempfile::TempDir;

/// An authority with a folder for what it gives out.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

pub(crate) struct Provider {
    pub(crate) url: String,
    told: Arc<Told>,
    _running: Running,
}

/// What is told to whoever asks.
struct Told {
    /// Which of them signs, the last word.
    keys: Mutex<Vec<(SigningKey, bool)>>,
    configuration: Mutex<Value>,
    configurations: AtomicUsize,
    sets: AtomicUsize,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("roots.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub(crate) fn roots(&self) -> PathBuf {
        self.folder.path().join("roots.pem")
    }

    fn tls(&self) -> TlsSettings {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (chain, secret) = (
            self.folder.path().join("server.pem"),
            self.folder.path().join("server.key"),
        );
        std::fs::write(&chain, certificate.pem()).unwrap();
        std::fs::write(&secret, key.serialize_pem()).unwrap();
        TlsSettings {
            certificate: Some(chain),
            key: Some(secret),
            ..TlsSettings::default()
        }
    }
}

impl Provider {
    pub(crate) async fn start(authority: &Authority, algorithm: SigningAlgorithm) -> Self {
        let key = SigningKey::generate_for(algorithm).unwrap();
        let told = Arc::new(Told {
            keys: Mutex::new(vec![(key, true)]),
            configuration: Mutex::default(),
            configurations: AtomicUsize::new(0),
            sets: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/jwks", get(jwks))
            .with_state(Arc::clone(&told));
        let settings = ServerSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: authority.tls(),
            ..ServerSettings::default()
        };
        let service = Service::new(settings).mount(Module::new("login").http_router(router));
        let running = service.start().await.unwrap();
        let port = running.addresses().public.unwrap().port();
        let url = format!("https://localhost:{port}");
        *told.configuration.lock() = json!({"issuer": url, "jwks_uri": format!("{url}/jwks")});
        Self {
            url,
            told,
            _running: running,
        }
    }

    /// An access token for that subject, with claims of the caller's making.
    pub(crate) fn token(&self, subject: &str, change: impl FnOnce(&mut Value)) -> String {
        self.signed(&json!({}), &json!(subject), change)
    }

    /// A token with a header of the caller's making, signed by our key nevertheless.
    pub(crate) fn token_with(&self, header: &Value, change: impl FnOnce(&mut Value)) -> String {
        self.signed(header, &json!("ada"), change)
    }

    fn signed(&self, header: &Value, subject: &Value, change: impl FnOnce(&mut Value)) -> String {
        let now = clock::now().as_second();
        let mut claims = json!({
            "iss": self.url, "aud": "orders", "sub": subject, "iat": now, "exp": now + 600,
            "scope": "openid order:read",
        });
        change(&mut claims);
        let keys = self.told.keys.lock();
        let signs = keys.iter().find(|(_, signs)| *signs).map(|(key, _)| key);
        let key = signs.unwrap();
        let mut whole = json!({"alg": key.algorithm().name(), "typ": "at+jwt", "kid": key.kid()});
        for (name, value) in header.as_object().unwrap() {
            whole[name] = value.clone();
        }
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encoded(&whole), encoded(&claims));
        let signature = URL_SAFE_NO_PAD.encode(signature(key, signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    pub(crate) fn jwk(&self) -> Value {
        json!(self.told.keys.lock()[0].0.verifying_key().jwk())
    }

    /// Shows a key that does not sign yet.
    pub(crate) fn publish_next(&self) {
        let next = SigningKey::generate();
        self.told.keys.lock().push((next, false));
    }

    /// The last key signs from now on.
    pub(crate) fn turn(&self) {
        let mut keys = self.told.keys.lock();
        let last = keys.len() - 1;
        for (nth, (_, signs)) in keys.iter_mut().enumerate() {
            *signs = nth == last;
        }
    }

    /// The configuration names another place of the keys.
    pub(crate) fn leads_to(&self, place: &str) {
        self.told.configuration.lock()["jwks_uri"] = json!(place);
    }

    /// How often somebody wanted the keys.
    pub(crate) fn sets_given(&self) -> usize {
        self.told.sets.load(Ordering::SeqCst)
    }

    /// How often somebody wanted anything.
    pub(crate) fn asked(&self) -> usize {
        self.sets_given() + self.told.configurations.load(Ordering::SeqCst)
    }
}

async fn configuration(State(told): State<Arc<Told>>) -> Json<Value> {
    told.configurations.fetch_add(1, Ordering::SeqCst);
    Json(told.configuration.lock().clone())
}

async fn jwks(State(told): State<Arc<Told>>) -> ([(&'static str, &'static str); 1], Json<Value>) {
    told.sets.fetch_add(1, Ordering::SeqCst);
    let keys = told.keys.lock();
    let keys: Vec<_> = keys
        .iter()
        .map(|(key, _)| key.verifying_key().jwk())
        .collect();
    let kept = [("cache-control", "public, max-age=600")];
    (kept, Json(json!({ "keys": keys })))
}

fn signature(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let der = key.to_pkcs8();
    let der = der.expose_secret();
    match key.algorithm() {
        SigningAlgorithm::Es256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).unwrap();
            let signature = pair.sign(&SystemRandom::new(), message).unwrap();
            signature.as_ref().to_vec()
        }
        _ => {
            let pair = Ed25519KeyPair::from_pkcs8(der).unwrap();
            pair.sign(message).as_ref().to_vec()
        }
    }
}
