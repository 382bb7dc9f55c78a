//! Token pair: a short-lived access token that anybody can check, and a refresh token that is good for one next pair.
//!
//! The usual defects: a refresh token that stays valid for weeks and is stolen once; rotation that lets both of two
//! parallel uses succeed; a "grace period" that accepts any old token; a check by time that a replay within the same
//! second passes. Here the store alone decides: a token is used once, a second use ends the whole family, the thief's
//! tokens and the owner's alike. Within an overlap, if one is wanted, the token right before the live one is answered
//! with the same child again, and nothing older is.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use stanchion::auth::refresh::{
    Decision, Family, Lifetimes, Nonce, Overlap, RefreshHash, RefreshRow, RefreshState,
    RefreshToken, Use,
};
use stanchion::auth::secret::{Signer, generate};
use stanchion::runtime::{clock, id};

/// What a store keeps: hashes and nonces, never a token. In a database the family's row is locked around each use.
struct Store {
    overlap: Overlap,
    family: Family,
    rows: HashMap<RefreshHash, (RefreshRow, Option<Nonce>)>,
    uses: HashMap<RefreshHash, (Timestamp, RefreshHash)>,
}

impl Store {
    fn log_in(overlap: Overlap) -> (Self, RefreshToken) {
        let (family, token, row) = Family::begin(id::new_v7(), clock::now(), &Lifetimes::default());
        let store = Self {
            overlap,
            family,
            rows: HashMap::from([(row.hash, (row, None))]),
            uses: HashMap::new(),
        };
        (store, token)
    }

    fn used(&self, hash: &RefreshHash) -> Option<Use> {
        let (at, child) = self.uses.get(hash)?;
        let (row, nonce) = &self.rows[child];
        Some(Use {
            at: *at,
            child: *child,
            child_state: row.state,
            nonce: *nonce,
        })
    }

    /// The next token, or `None`: log in again.
    fn refresh(&mut self, token: &RefreshToken, now: Timestamp) -> Option<RefreshToken> {
        let hash = token.hash();
        let (row, used) = (
            self.rows.get(&hash).map(|(row, _)| row.clone()),
            self.used(&hash),
        );
        let lifetimes = Lifetimes::default();
        let decision = self.overlap.decide(
            row.as_ref(),
            Some(&self.family),
            used.as_ref(),
            now,
            &lifetimes,
        );
        match decision {
            Decision::Rotate(child) => {
                let (next, nonce) = self.overlap.child_of(&hash);
                self.rows.get_mut(&hash)?.0.state = RefreshState::Used;
                self.uses.insert(hash, (now, next.hash()));
                self.rows.insert(next.hash(), (child.row_of(&next), nonce));
                Some(next)
            }
            Decision::Again(same) => Some(same),
            Decision::RevokeFamily => {
                self.family.revoked_at = Some(now);
                None
            }
            Decision::Expired | Decision::Revoked | Decision::Unknown => None,
        }
    }
}

fn main() -> anyhow::Result<()> {
    let now = clock::now();
    let (mut store, first) = Store::log_in(Overlap::none());
    let second = store.refresh(&first, now).expect("a live token rotates");
    println!(
        "a second use at the same moment: {}",
        said(store.refresh(&first, now))
    );
    println!(
        "the owner's token then: {}",
        said(store.refresh(&second, now))
    );
    assert!(store.family.revoked_at.is_some());

    let overlap = Overlap::of(SignedDuration::from_secs(5), &Signer::new(&generate())?);
    let (mut store, first) = Store::log_in(overlap);
    let second = store.refresh(&first, now).expect("a live token rotates");
    let later = |seconds| now + SignedDuration::from_secs(seconds);
    let again = store.refresh(&first, later(4));
    println!(
        "the answer was lost, once more: the same one, {}",
        again.as_ref() == Some(&second)
    );
    let third = store.refresh(&second, later(4)).expect("it was live");
    println!(
        "the token before the last: {}",
        said(store.refresh(&first, later(4)))
    );
    println!(
        "and whoever has the newest: {}",
        said(store.refresh(&third, later(4)))
    );
    let random = RefreshToken::generate();
    println!(
        "a token that nobody gave: {}",
        said(store.refresh(&random, now))
    );
    Ok(())
}

fn said(outcome: Option<RefreshToken>) -> &'static str {
    match outcome {
        Some(_) => "a new pair",
        None => "refused",
    }
}
