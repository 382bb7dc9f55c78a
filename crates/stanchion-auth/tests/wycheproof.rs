//! The public Wycheproof vectors through our verifier.
//!
//! We verify EdDSA (no vectors), ES256 and RS256. Of these every vector must come out as published. Everything else,
//! HMAC and `none` above all, is out of scope by design: there every vector must be refused, the valid ones too.

#![allow(
    clippy::unwrap_used,
    reason = "a vector file that is not as it should be fails the test"
)]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stanchion_auth::key::{Jwks, KeyRing};
use stanchion_auth::token::jws;

/// Valid vectors of algorithms that we do not verify, by case.
const SIGNATURES_OUT_OF_SCOPE: [(&str, &[u64]); 4] = [
    (
        "HMAC: a verifier would share its secret",
        &[1, 348, 352, 357, 358, 359, 372, 373, 376, 377],
    ),
    ("RS384, RS512", &[264, 265, 266, 267, 268, 269, 270, 271]),
    ("PS256, PS384, PS512", PSS),
    ("ES512, under the unregistered name ES521", &[347, 351]),
];

const PSS: &[u64] = &[
    272, 273, 274, 275, 287, 288, 320, 321, 322, 323, 325, 326, 327, 328, 346, 350,
];

const KEYS_OUT_OF_SCOPE: [(&str, &[u64]); 1] = [("HMAC", &[2, 13, 14, 15])];

struct Vector {
    id: u64,
    comment: String,
    token: String,
    is_valid: bool,
    /// What the verifier is configured with: a JWK set.
    keys: Value,
}

/// The public half where there is one; else the symmetric key.
fn vectors(file: &str) -> Vec<Vector> {
    let file: Value = serde_json::from_str(file).unwrap();
    let groups = file["testGroups"].as_array().unwrap();
    let vectors: Vec<_> = groups.iter().flat_map(vectors_of).collect();
    assert_eq!(
        vectors.len() as u64,
        file["numberOfTests"].as_u64().unwrap()
    );
    vectors
}

fn vectors_of(group: &Value) -> Vec<Vector> {
    let key = group.get("public").unwrap_or(&group["private"]);
    let keys = match key.get("keys") {
        Some(_) => key.clone(),
        None => json!({ "keys": [key] }),
    };
    let tests = group["tests"].as_array().unwrap();
    tests
        .iter()
        .map(|test| Vector {
            id: test["tcId"].as_u64().unwrap(),
            comment: test["comment"].as_str().unwrap().to_owned(),
            token: test["jws"]
                .as_str()
                .map_or_else(|| test["jws"].to_string(), str::to_owned),
            is_valid: test["result"] == "valid",
            keys: keys.clone(),
        })
        .collect()
}

fn passes(vector: &Vector) -> bool {
    let keys = serde_json::to_vec(&vector.keys).unwrap();
    Jwks::from_json(&keys)
        .and_then(|keys| KeyRing::verifying_only(&keys))
        .is_ok_and(|ring| jws::verify(&vector.token, &ring).is_ok())
}

/// Every vector as published, but for the valid ones out of scope, which are refused.
fn judge(vectors: &[Vector], out_of_scope: &[(&str, &[u64])]) {
    let out_of_scope: BTreeSet<_> = out_of_scope.iter().flat_map(|(_, ids)| *ids).collect();
    let mut wrong = Vec::new();
    for vector in vectors {
        let expected = vector.is_valid && !out_of_scope.contains(&vector.id);
        if passes(vector) != expected {
            wrong.push(format!(
                "{} {} (expected {expected})",
                vector.id, vector.comment
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let as_published = vectors.len() - out_of_scope.len();
    println!("{as_published} of {} as published", vectors.len());
}

#[test]
fn signatures_come_out_as_published_and_foreign_algorithms_are_refused() {
    let vectors = vectors(include_str!("wycheproof/json_web_signature_test.json"));
    judge(&vectors, &SIGNATURES_OUT_OF_SCOPE);
}

#[test]
fn keys_come_out_as_published_and_symmetric_ones_are_refused() {
    let vectors = vectors(include_str!("wycheproof/json_web_key_test.json"));
    judge(&vectors, &KEYS_OUT_OF_SCOPE);
}

#[test]
fn the_vectors_out_of_scope_are_valid_ones_and_listed_once() {
    let valid: BTreeSet<_> = vectors(include_str!("wycheproof/json_web_signature_test.json"))
        .into_iter()
        .filter(|vector| vector.is_valid)
        .map(|vector| vector.id)
        .collect();
    let mut listed = BTreeSet::new();
    for id in SIGNATURES_OUT_OF_SCOPE.iter().flat_map(|(_, ids)| *ids) {
        assert!(valid.contains(id) && listed.insert(id), "{id}");
    }
}

#[test]
fn weak_rsa_keys_are_refused_for_what_they_are() {
    let vectors = vectors(include_str!("wycheproof/json_web_key_test.json"));
    for (id, why) in [(7, "ROCA"), (8, "2048"), (9, "65537")] {
        let vector = vectors.iter().find(|vector| vector.id == id).unwrap();
        let keys = Jwks::from_json(&serde_json::to_vec(&vector.keys).unwrap()).unwrap();
        let refusal = keys.verifying_keys().unwrap_err().to_string();
        assert!(refusal.contains(why), "{refusal}");
    }
}
