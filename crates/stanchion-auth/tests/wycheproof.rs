//! The public Wycheproof vectors through our verifier.
//!
//! Once as an operator configures it who accepts every algorithm there is: of 401 signatures 395 must come out as
//! published, of 26 key sets all. The six others are listed with their reasons. And once as it is without configuration,
//! for keys that an issuer publishes: there every vector of another algorithm, HMAC above all, must be refused, the valid
//! ones too.

#![allow(
    clippy::unwrap_used,
    reason = "a vector file that is not as it should be fails the test"
)]

use std::collections::BTreeSet;
use std::path::Path;

use secrecy::SecretString;
use serde_json::{Value, json};
use stanchion_auth::key::{Algorithms, Jwks, KeyRing};
use stanchion_auth::token::jws;

const SIGNATURES: &str = "json_web_signature_test.json";
const KEYS: &str = "json_web_key_test.json";

/// What comes out otherwise than published, by case.
const OTHERWISE: [(&str, &[u64]); 3] = [
    (
        "refused: the header says PS384, the key is for PS256; a key has one algorithm (RFC 8725, 3.1)",
        &[346, 350],
    ),
    (
        "refused: a `?` within base64url, to be skipped; a signed text has one spelling (RFC 7515, 2)",
        &[372, 373],
    ),
    (
        "accepted: the padding that shall be refused is lost; token and key are those of 357, which is valid",
        LOST_PADDING,
    ),
];

const LOST_PADDING: &[u64] = &[367, 370];

/// Valid vectors of algorithms that nobody gets without asking for them, by case.
const NOT_WITHOUT_CONFIGURATION: [(&str, &[u64]); 4] = [
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

const HMAC_KEYS: [(&str, &[u64]); 1] = [("HMAC", &[2, 13, 14, 15])];

struct Vector {
    id: u64,
    comment: String,
    token: String,
    is_valid: bool,
    /// What the verifier is configured with: a JWK set.
    keys: Value,
}

/// All of a file, of the folder beside the project or else of our copy; none, told loudly, where there is neither.
fn vectors(name: &str) -> Option<Vec<Vector>> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        own.join("../../../shared/wycheproof"),
        own.join("tests/wycheproof"),
    ];
    let read = |folder: &std::path::PathBuf| std::fs::read_to_string(folder.join(name)).ok();
    let Some(text) = folders.iter().find_map(read) else {
        let places = folders
            .map(|folder| folder.display().to_string())
            .join(" nor ");
        eprintln!("\n*** SKIPPED: {name} is neither in {places}; NOTHING WAS VERIFIED ***\n");
        return None;
    };
    let file: Value = serde_json::from_str(&text).unwrap();
    let groups = file["testGroups"].as_array().unwrap();
    let vectors: Vec<_> = groups.iter().flat_map(vectors_of).collect();
    assert_eq!(
        vectors.len() as u64,
        file["numberOfTests"].as_u64().unwrap()
    );
    Some(vectors)
}

/// The public half where there is one; else the symmetric key.
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

/// The keys that the operator hands over, for every algorithm.
fn by_configuration(vector: &Vector) -> bool {
    let every = Algorithms::PUBLIC.and(Algorithms::HMAC);
    let keys = SecretString::from(vector.keys.to_string());
    KeyRing::configured(&keys, every).is_ok_and(|ring| jws::verify(&vector.token, &ring).is_ok())
}

/// The keys that an issuer publishes.
fn as_published_by_an_issuer(vector: &Vector) -> bool {
    let keys = serde_json::to_vec(&vector.keys).unwrap();
    Jwks::from_json(&keys)
        .and_then(|keys| KeyRing::verifying_only(&keys))
        .is_ok_and(|ring| jws::verify(&vector.token, &ring).is_ok())
}

/// Every vector as published, but for those that are listed, which come out the other way; how many as published.
fn judge(vectors: &[Vector], passes: fn(&Vector) -> bool, exceptions: &[(&str, &[u64])]) -> usize {
    let mut listed = BTreeSet::new();
    for id in exceptions.iter().flat_map(|(_, ids)| *ids) {
        let known = vectors.iter().any(|vector| vector.id == *id);
        assert!(known && listed.insert(*id), "{id} is listed twice");
    }
    let mut wrong = Vec::new();
    for vector in vectors {
        let expected = vector.is_valid != listed.contains(&vector.id);
        if passes(vector) != expected {
            let Vector { id, comment, .. } = vector;
            wrong.push(format!("{id} {comment} (expected {expected})"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    vectors.len() - listed.len()
}

#[test]
fn e1_395_of_401_signatures_come_out_as_published_and_six_otherwise_for_a_reason() {
    let Some(vectors) = vectors(SIGNATURES) else {
        return;
    };
    let right = judge(&vectors, by_configuration, &OTHERWISE);
    println!(
        "JSON Web Signature: {right} of {} as published",
        vectors.len()
    );
    for (why, ids) in OTHERWISE {
        println!("  otherwise: {ids:?}: {why}");
    }
    assert_eq!((right, vectors.len()), (395, 401));
    let of = |id| vectors.iter().find(|vector| vector.id == id).unwrap();
    for lost in LOST_PADDING {
        let (lost, valid) = (of(*lost), of(357));
        assert_eq!((&lost.token, &lost.keys), (&valid.token, &valid.keys));
    }
}

#[test]
fn e1_26_of_26_key_sets_come_out_as_published() {
    let Some(vectors) = vectors(KEYS) else {
        return;
    };
    let right = judge(&vectors, by_configuration, &[]);
    println!("JSON Web Key: {right} of {} as published", vectors.len());
    assert_eq!((right, vectors.len()), (26, 26));
}

#[test]
fn without_configuration_secrets_and_foreign_algorithms_are_refused() {
    let both = [
        (SIGNATURES, &NOT_WITHOUT_CONFIGURATION[..]),
        (KEYS, &HMAC_KEYS[..]),
    ];
    for (file, exceptions) in both {
        let Some(vectors) = vectors(file) else { return };
        judge(&vectors, as_published_by_an_issuer, exceptions);
    }
}

#[test]
fn weak_rsa_keys_are_refused_for_what_they_are() {
    let Some(vectors) = vectors(KEYS) else { return };
    for (id, why) in [(7, "ROCA"), (8, "2048"), (9, "65537")] {
        let vector = vectors.iter().find(|vector| vector.id == id).unwrap();
        let keys = Jwks::from_json(&serde_json::to_vec(&vector.keys).unwrap()).unwrap();
        let refusal = keys.verifying_keys().unwrap_err().to_string();
        assert!(refusal.contains(why), "{refusal}");
    }
}
