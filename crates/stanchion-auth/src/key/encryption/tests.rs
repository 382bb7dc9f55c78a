//! What opens, what does not, and what is told of it.

use proptest::prelude::*;

use super::*;

fn kek(byte: u8) -> KeyEncryptionKey {
    KeyEncryptionKey::from_bytes(&SecretSlice::from(vec![byte; KEY_BYTES])).unwrap()
}

fn secret(bytes: &[u8]) -> SecretSlice<u8> {
    SecretSlice::from(bytes.to_vec())
}

#[test]
fn what_was_sealed_opens_with_the_same_key_and_data() {
    let sealed = kek(1).seal(&secret(b"private"), b"kid");
    assert_eq!(
        kek(1).open(&sealed, b"kid").unwrap().expose_secret(),
        b"private"
    );
    assert_eq!(KeyId::of_sealed(&sealed), Some(kek(1).id()));
}

#[test]
fn another_key_says_which_one_is_needed() {
    let sealed = kek(1).seal(&secret(b"private"), b"kid");
    let refusal = kek(2).open(&sealed, b"kid").unwrap_err();
    assert_eq!(
        refusal,
        OpenError::OtherKey {
            sealed_by: kek(1).id(),
            have: kek(2).id()
        }
    );
    assert!(refusal.to_string().contains(&kek(1).id().to_string()));
}

#[test]
fn what_another_key_sealed_is_opened_beside_it_and_sealed_anew() {
    let sealed = kek(1).seal(&secret(b"private"), b"kid");
    let both = kek(2).also_opening(kek(1));
    let opened = both.open(&sealed, b"kid").unwrap();
    assert_eq!(opened.expose_secret(), b"private");
    let misplaced = both.open(&sealed, b"other").unwrap_err();
    assert_eq!(misplaced, OpenError::Tampered);
    let anew = both.reseal(&sealed, b"kid").unwrap().unwrap();
    assert_eq!(KeyId::of_sealed(&anew), Some(kek(2).id()));
    let opened = kek(2).open(&anew, b"kid").unwrap();
    assert_eq!(opened.expose_secret(), b"private");
    assert_eq!(both.reseal(&anew, b"kid").unwrap(), None, "once is enough");
    let refusal = kek(3).reseal(&sealed, b"kid").unwrap_err();
    assert!(matches!(refusal, OpenError::OtherKey { .. }));
}

#[test]
fn a_sealed_key_does_not_open_in_the_place_of_another() {
    let sealed = kek(1).seal(&secret(b"private"), b"kid-a");
    assert_eq!(
        kek(1).open(&sealed, b"kid-b").unwrap_err(),
        OpenError::Tampered
    );
}

#[test]
fn the_same_plaintext_never_seals_alike() {
    let (one, other) = (
        kek(1).seal(&secret(b"x"), b""),
        kek(1).seal(&secret(b"x"), b""),
    );
    assert_ne!(one, other);
}

#[test]
fn a_key_is_read_from_base64_of_both_kinds() {
    let bytes = [0xfbu8; KEY_BYTES];
    for text in [
        STANDARD.encode(bytes),
        to_base64url(bytes),
        format!("{}\n", STANDARD.encode(bytes)),
    ] {
        let key = KeyEncryptionKey::from_text(&SecretString::from(text)).unwrap();
        assert_eq!(key.id(), kek(0xfb).id());
    }
    assert!(KeyEncryptionKey::from_text(&KeyEncryptionKey::generate_text()).is_ok());
}

#[test]
fn what_is_no_key_is_refused_and_not_shown() {
    for text in [
        "",
        "hunter2hunter2hunter2",
        &to_base64url([1; 31]),
        &to_base64url([1; 33]),
    ] {
        let refusal = KeyEncryptionKey::from_text(&SecretString::from(text)).unwrap_err();
        assert!(!refusal.to_string().contains("hunter2"));
    }
}

#[test]
fn a_key_does_not_print_itself() {
    let shown = format!("{:?}", kek(7));
    assert!(shown.contains("***") && !shown.contains("0707") && !shown.contains("7, 7"));
}

proptest! {
    #[test]
    fn any_change_or_cut_keeps_it_shut(
        plaintext in prop::collection::vec(any::<u8>(), 0..64),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let sealed = kek(1).seal(&secret(&plaintext), b"kid");
        let mut changed = sealed.clone();
        changed[at.index(sealed.len())] ^= flip;
        prop_assert!(kek(1).open(&changed, b"kid").is_err());
        prop_assert!(kek(1).open(&sealed[..at.index(sealed.len())], b"kid").is_err());
    }
}
