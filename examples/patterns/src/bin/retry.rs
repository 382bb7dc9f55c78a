//! Retry: once more, when that is safe, useful and paid for.
//!
//! The usual defects: three tiers with three attempts each make 27 calls of one when everything is down already; a
//! payment is sent again after a timeout and taken twice; and the error that is shown is "no more retries". Here a
//! budget bounds what all retries together add, an unknown outcome is repeated only where the caller said that this
//! is harmless, and the last error is kept with the reason why it is the last.

use std::cell::Cell;

use stanchion::resilience::retry::{Retry, RetrySettings, Retryable, Terms};

/// What can come of a payment.
#[derive(Debug, PartialEq)]
enum BankError {
    /// The connection was refused: nothing has happened.
    NotReached,
    /// No answer: it may have happened.
    TimedOut,
    /// It said no, and will say so again.
    Declined,
}

fn class(error: &BankError) -> Retryable {
    match error {
        BankError::NotReached => Retryable::NotDone { after: None },
        BankError::TimedOut => Retryable::unknown(),
        BankError::Declined => Retryable::Never,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let retry = Retry::new(&RetrySettings::default());
    let pay = async |terms: Terms, story: &[Result<u32, BankError>]| {
        let sent = Cell::new(0);
        let result = retry
            .call(terms, class, |attempt| {
                sent.set(attempt);
                let told = &story[attempt as usize - 1];
                async move {
                    match told {
                        Ok(amount) => Ok(*amount),
                        Err(BankError::NotReached) => Err(BankError::NotReached),
                        Err(BankError::TimedOut) => Err(BankError::TimedOut),
                        Err(BankError::Declined) => Err(BankError::Declined),
                    }
                }
            })
            .await;
        (sent.get(), result)
    };

    let (sent, paid) = pay(Terms::once(), &[Err(BankError::NotReached), Ok(25)]).await;
    println!("not reached: sent {sent} times, {paid:?}");
    assert_eq!((sent, paid.is_ok()), (2, true));

    let timed_out = [Err(BankError::TimedOut), Ok(25)];
    let (sent, paid) = pay(Terms::once(), &timed_out).await;
    let gave_up = paid.expect_err("it may have been paid");
    println!(
        "timed out, without a key: sent {sent} time, {:?} ({})",
        gave_up.last, gave_up.stopped
    );
    assert_eq!((sent, gave_up.last), (1, BankError::TimedOut));

    let (sent, paid) = pay(Terms::repeatable(), &timed_out).await;
    println!("timed out, with an idempotency key: sent {sent} times, {paid:?}");
    assert_eq!((sent, paid.is_ok()), (2, true));

    let (sent, _) = pay(Terms::repeatable(), &[Err(BankError::Declined)]).await;
    assert_eq!(sent, 1, "it would be declined again");

    let down = [const { Err(BankError::NotReached) }; 3];
    let mut all = 0;
    for _ in 0..100 {
        // Patience is not the point here: waits of up to 50 ms are real ones.
        all += pay(Terms::once(), &down).await.0;
    }
    println!("all down: 100 calls made {all}");
    assert!(all <= 135, "{all}");
}
