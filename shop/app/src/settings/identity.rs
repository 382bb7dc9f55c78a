//! Users, sessions and keys: what identity can be told.

use std::time::Duration;

use shop_identity::AttemptSettings;
use stanchion::auth::key::SigningAlgorithm;
use stanchion::client::ClientSettings;
use stanchion::config::{SecretString, choice, settings};
use stanchion::mail::MailSettings;

use super::ModuleDatabase;

choice! {
    /// What access tokens are signed with.
    pub(crate) enum SignWith {
        /// Ed25519.
        EdDsa = "EdDSA",
        /// ECDSA on P-256, for verifiers that lack Ed25519.
        Es256 = "ES256",
        /// RSA of 2048 bits, for verifiers that know nothing else.
        Rs256 = "RS256",
    }
}

impl From<SignWith> for SigningAlgorithm {
    fn from(with: SignWith) -> Self {
        match with {
            SignWith::EdDsa => Self::EdDsa,
            SignWith::Es256 => Self::Es256,
            SignWith::Rs256 => Self::Rs256,
        }
    }
}

settings! {
    /// Users, sessions and keys.
    pub(crate) struct IdentitySettings {
        /// Where it runs, if not in this process: a URL that is asked for signing keys, sessions and customers' keys, over gRPC.
        pub(crate) endpoint: Option<String> = unset,
        /// How it is called there.
        pub(crate) client: ClientSettings = section,
        /// Password of the first administrator; made and shown once unless given.
        pub(crate) admin_password: Option<SecretString> = unset,
        /// Seals the signing keys; made and kept beside an embedded store unless given.
        pub(crate) key_encryption_key: Option<SecretString> = unset,
        /// A vault to read that key from instead.
        pub(crate) vault: VaultSettings = section,
        /// Opens what it sealed: the next key before a change, the last one until `shop keys reseal` is done.
        pub(crate) other_key_encryption_key: Option<SecretString> = unset,
        /// What access tokens are signed with: EdDSA, ES256 or RS256. A change is a rotation: tokens of the former keys live out.
        pub(crate) signing_algorithm: SignWith = SignWith::EdDsa,
        /// How long a session lives that nobody uses.
        #[range("1m"..="365d")]
        pub(crate) session_idle: Duration = "7d",
        /// How long a session lives at most.
        #[range("1m"..="365d")]
        pub(crate) session_life: Duration = "30d",
        /// For how long a refresh token that was just used is answered with the same new one again, for clients that use one
        /// twice at once or lose an answer; at 0s the second use of a token ends its session.
        #[range("0s"..="10s")]
        pub(crate) refresh_overlap: Duration = "0s",
        /// How often somebody may try to get in.
        pub(crate) attempts: AttemptSettings = section,
        /// Memory of one password hash in KiB; less than the default only for tests.
        #[range(8..=65536)]
        pub(crate) hash_memory_kib: u32 = 19456,
        /// Mixed into passwords before they are hashed, and kept apart from the database and its backups: 32 random bytes
        /// in base64, openssl rand -base64 32. Each login moves its user's hash to it. Who loses it loses the passwords.
        pub(crate) password_pepper: Option<SecretString> = unset,
        /// The pepper before it, until its last user has logged in; to go back to none, set this one alone.
        pub(crate) other_password_pepper: Option<SecretString> = unset,
        /// How mails are sent: proofs of addresses, new passwords. Into files beside an embedded store unless a url is given;
        /// not at all with PostgreSQL and no url.
        pub(crate) mail: MailSettings = section,
        /// Where the mails' links lead.
        pub(crate) pages: PageSettings = section,
        /// A store of its own.
        pub(crate) database: ModuleDatabase = section,
    }
}

settings! {
    /// A secret in HashiCorp Vault or OpenBao: one field of a secret of a KV engine, version 2.
    pub(crate) struct VaultSettings {
        /// Where it is: https://HOST:PORT/MOUNT/PATH#FIELD.
        pub(crate) place: Option<String> = unset,
        /// What it is read with, once at start.
        pub(crate) token: Option<SecretString> = unset,
        /// How the vault is called.
        pub(crate) client: ClientSettings = section,
    }
}

settings! {
    /// Pages of your front end, each with {token} where the token goes: behind a # it stays out of logs.
    pub(crate) struct PageSettings {
        /// Where an address is proved, https://shop.example/verify#token={token}; a mail shows the token alone unless given.
        pub(crate) verification: Option<String> = unset,
        /// Where a new password is chosen, likewise.
        pub(crate) reset: Option<String> = unset,
    }
}
