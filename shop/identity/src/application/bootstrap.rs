use secrecy::SecretString;
use shop_kernel::UserId;
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::{clock, id, random};

use super::{Failure, Identity, StartError, Work, retried};
use crate::domain::{Event, PasswordHash, Profile, Role, RoleSet, User, password};

/// The first administrator.
const ADMIN_USERNAME: &str = "admin";
const ADMIN_EMAIL: &str = "admin@localhost";

/// 32 characters that are not mistaken for each other, so that a byte picks each equally often.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

/// Of 5 bits each: 100 bits.
const GENERATED_CHARACTERS: usize = 20;

/// What the first start made; nothing of it at later ones.
#[derive(Debug, Default)]
pub struct Bootstrapped {
    /// The administrator's password, if it was generated now: the only time it can be shown.
    pub admin_password: Option<SecretString>,
}

/// Puts the signing keys in place, and on an empty store makes the user `admin`.
pub(crate) async fn first_start(
    identity: &Identity,
    configured: Option<&SecretString>,
) -> Result<Bootstrapped, StartError> {
    if let Some(configured) = configured {
        password::check(configured).map_err(|refused| StartError::AdminPassword(refused.0))?;
    }
    identity.turn_keys().await?;
    if !identity.users.is_empty(&identity.db).await? {
        return Ok(Bootstrapped::default());
    }
    let chosen = configured.cloned().unwrap_or_else(generate);
    let hash = PasswordHash::new(identity.passwords.hash(&chosen).await?);
    let made = retried(|| make_admin(identity, &hash)).await?;
    Ok(Bootstrapped {
        admin_password: (made && configured.is_none()).then_some(chosen),
    })
}

/// `false` if another process made one meanwhile.
async fn make_admin(identity: &Identity, hash: &PasswordHash) -> Result<bool, Failure> {
    let metadata = Metadata::new(None);
    let mut work = Work::begin(&identity.db, &metadata);
    identity.users.take_turn(work.rows()).await?;
    if !identity.users.is_empty(work.rows()).await? {
        return Ok(false);
    }
    let roles = RoleSet::of(Role::Admin);
    let admin = User::register(UserId(id::new_v7()), admin_profile(), roles, clock::now());
    identity.users.create(work.rows(), &admin, hash).await?;
    work.record(&Event::UserRegistered {
        user_id: admin.id,
        roles: admin.roles,
    })?;
    work.commit().await?;
    Ok(true)
}

fn admin_profile() -> Profile {
    Profile {
        email: ADMIN_EMAIL.parse().expect("it is an e-mail address"),
        username: ADMIN_USERNAME.parse().expect("it is a username"),
        first_name: None,
        last_name: None,
    }
}

/// Four groups of five characters.
fn generate() -> SecretString {
    let bytes = random::bytes::<GENERATED_CHARACTERS>();
    let mut text = String::with_capacity(GENERATED_CHARACTERS + 3);
    for (nth, byte) in bytes.iter().enumerate() {
        if nth > 0 && nth % 5 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    SecretString::from(text)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_generated_password_is_long_and_new_each_time() {
        let (one, other) = (generate(), generate());
        assert_eq!(one.expose_secret().len(), 23);
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert!(password::check(&one).is_ok());
    }

    #[test]
    fn the_first_administrator_can_be_written_down() {
        assert_eq!(admin_profile().username.as_str(), "admin");
    }
}
