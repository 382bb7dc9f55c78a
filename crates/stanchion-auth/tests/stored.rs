//! What a store is given of a secret, told from outside: the digests are `printf TEXT | sha256sum`.

use stanchion_auth::api_key::ApiKey;
use stanchion_auth::oauth::{OpaqueToken, Prefix};
use stanchion_auth::one_time::OneTimeToken;
use stanchion_auth::refresh::RefreshToken;

/// With its checksum.
const KEY: &str = "sk_0000000000000000000000000000000000000000000zOsg";
/// 256 bits, none of them set.
const BITS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[test]
fn of_every_random_secret_a_store_keeps_the_sha_256_of_its_text() {
    let of = |prefix: &str| format!("{prefix}{BITS}");
    let kept = [
        ApiKey::parse(KEY).map(|key| *key.hash().as_bytes()),
        OpaqueToken::parse(Prefix::CLIENT_SECRET, &of("cs_")).map(|it| *it.digest().as_bytes()),
        RefreshToken::parse(&of("rt_")).map(|token| *token.hash().as_bytes()),
        OneTimeToken::parse(&of("ot_")).map(|token| *token.hash().as_bytes()),
    ];
    let expected = [
        "49a60f973b6e985eb67f39430278c8c12d874870da59fa6d4d7272a4e3dcf845",
        "6060dad30997e5c5caca29e0c7afcea54b0a9dc0e7c841b0cd9a73a5ea2943cd",
        "619682011001d94f7385b7c459e6e3b08711d130160b5e9cf037095c78f7016f",
        "143ae9d5c2ab7af02904b39477c7a2363cf7fcf97e2c9fc24770d86a72a4ea73",
    ];
    for (kept, expected) in kept.into_iter().zip(expected) {
        let bytes = kept.unwrap_or_default().into_iter();
        let hex: String = bytes.map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }
}
