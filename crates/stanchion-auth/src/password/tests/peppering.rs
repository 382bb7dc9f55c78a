use super::*;

fn pepper() -> Pepper {
    Pepper::from_text(&secret(to_base64url(random::bytes::<32>()))).unwrap()
}

fn peppered(current: &Pepper, former: &[&Pepper]) -> Passwords {
    let former = former.iter().map(|pepper| (*pepper).clone()).collect();
    cheap().peppered(Some(current.clone()), former).unwrap()
}

async fn verifies(passwords: &Passwords, phc: &str) -> Result<bool, PasswordError> {
    let right = passwords.verify(Some(phc), &secret(LONG_ENOUGH)).await?;
    let wrong = passwords
        .verify(Some(phc), &secret("correct horsf"))
        .await?;
    assert!(!wrong, "another password passes");
    Ok(right)
}

#[tokio::test]
async fn a_hash_with_a_pepper_names_it_and_is_of_no_use_without_it() {
    let (one, other) = (pepper(), pepper());
    let phc = peppered(&one, &[])
        .hash(&secret(LONG_ENOUGH))
        .await
        .unwrap();
    assert!(phc.contains(",keyid="), "{phc}");
    assert_eq!(verifies(&peppered(&one, &[]), &phc).await, Ok(true));
    for without in [cheap(), peppered(&other, &[])] {
        let before = without.stats().hashed;
        let outcome = without.verify(Some(&phc), &secret(LONG_ENOUGH)).await;
        assert_eq!(outcome, Err(PasswordError::PepperUnknown));
        assert_eq!(without.stats().hashed, before + 1);
        assert!(without.needs_rehash(&phc));
    }
}

#[tokio::test]
async fn a_new_pepper_takes_over_hash_by_hash() {
    let (former, current) = (pepper(), pepper());
    let plain = cheap().hash(&secret(LONG_ENOUGH)).await.unwrap();
    let old = peppered(&former, &[])
        .hash(&secret(LONG_ENOUGH))
        .await
        .unwrap();
    let passwords = peppered(&current, &[&former]);
    for phc in [&plain, &old] {
        assert_eq!(verifies(&passwords, phc).await, Ok(true), "{phc}");
        assert!(passwords.needs_rehash(phc), "{phc}");
    }
    let new = passwords.hash(&secret(LONG_ENOUGH)).await.unwrap();
    assert!(!passwords.needs_rehash(&new));
    assert_eq!(verifies(&passwords, &new).await, Ok(true));
    let back = cheap().peppered(None, vec![current]).unwrap();
    assert_eq!(verifies(&back, &new).await, Ok(true));
    assert!(back.needs_rehash(&new) && !back.needs_rehash(&plain));
}

#[tokio::test]
async fn nobody_has_the_pepper_of_today() {
    let passwords = peppered(&pepper(), &[]);
    assert!(passwords.hasher.is_current(passwords.hasher.nobody()));
    let nobody = passwords.verify(None, &secret(LONG_ENOUGH)).await;
    assert_eq!(nobody, Ok(false));
}

#[test]
fn a_pepper_is_32_bytes_and_shows_its_id_alone() {
    for text in [
        "",
        "hunter2",
        &to_base64url([7; 31]),
        &to_base64url([7; 33]),
    ] {
        assert!(Pepper::from_text(&secret(text)).is_err(), "{text}");
    }
    let text = to_base64url([7; 32]);
    let shown = format!("{:?}", Pepper::from_text(&secret(&text)).unwrap());
    assert_eq!(shown.len(), "Pepper()".len() + 12);
    assert!(!shown.contains("0707"), "{shown}");
}
