use super::*;

#[tokio::test(start_paused = true)]
async fn a_copy_of_a_device_token_uses_up_nothing_of_that_device_once_the_password_is_another() {
    let attempts = attempts(&AttemptSettings::default());
    let (ada, home) = (UserId(id::new_v7()), from("203.0.113.1"));
    let copied = introduced(&attempts, ada, "ada", &home).unwrap();
    let home = home.proven_by(Some(&copied));
    let thief = from("203.0.113.2").proven_by(Some(&copied));
    let changed = Credentials {
        user: ada,
        password: PasswordHash::new("another".into()),
        is_active: true,
    };
    let account = Account {
        user: ada,
        names: ["ada", "ada@example.com"],
        password: &changed.password,
    };
    let proof = attempts.introduce(&account, &home).unwrap();
    let home = home.proven_by(Some(&proof));
    for _ in 0..100 {
        if let Ok(attempt) = attempts.log_in("ada", &thief).await {
            drop(attempt.of(Some(&changed)).await);
        }
    }
    let attempt = attempts.log_in("ada", &home).await.unwrap();
    assert!(attempt.of(Some(&changed)).await.is_ok());
}
