//! Who runs when: every peer's run stands directly before or after one of ours.

/// Whose turn it is in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Ours,
    /// The number of a peer.
    Peer(usize),
}

/// A run of ours and its neighbour in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair<T> {
    pub(crate) ours: T,
    pub(crate) peer: T,
}

/// One round: ours, a peer, a peer, ours, a peer, … With one peer, rounds give A B A B.
pub(crate) fn round(peers: usize) -> Vec<Turn> {
    let mut turns = Vec::new();
    for peer in 0..peers {
        if peer.is_multiple_of(2) {
            turns.push(Turn::Ours);
        }
        turns.push(Turn::Peer(peer));
    }
    if peers.is_multiple_of(2) {
        // The last peer's neighbour; without peers, ours alone.
        turns.push(Turn::Ours);
    }
    turns
}

/// The run of ours beside a peer's, from what each turn of the round gave.
pub(crate) fn pair<T: Copy>(turns: &[Turn], results: &[Option<T>], peer: usize) -> Option<Pair<T>> {
    let at = turns.iter().position(|turn| *turn == Turn::Peer(peer))?;
    let is_ours = |at: usize| turns.get(at) == Some(&Turn::Ours);
    let beside = match at.checked_sub(1).filter(|before| is_ours(*before)) {
        Some(before) => before,
        None if is_ours(at + 1) => at + 1,
        None => return None,
    };
    Some(Pair {
        ours: (*results.get(beside)?)?,
        peer: (*results.get(at)?)?,
    })
}

/// What several rounds came to, for each peer.
pub(crate) struct Played<T> {
    /// Its runs, each beside one of ours.
    pub(crate) pairs: Vec<Vec<Pair<T>>>,
    /// Why it could not be run, if it could not.
    pub(crate) failed: Vec<Option<String>>,
}

/// So many rounds. A peer that failed once is not waited for again.
///
/// # Errors
/// Our own run failed.
pub(crate) fn play<T: Copy>(
    peers: usize,
    rounds: usize,
    mut take: impl FnMut(Turn) -> anyhow::Result<T>,
) -> anyhow::Result<Played<T>> {
    let mut played = Played {
        pairs: vec![Vec::new(); peers],
        failed: vec![None; peers],
    };
    let plan = round(peers);
    for _ in 0..rounds {
        let mut results = Vec::new();
        for turn in &plan {
            results.push(match *turn {
                Turn::Ours => Some(take(Turn::Ours)?),
                Turn::Peer(peer) if played.failed[peer].is_some() => None,
                Turn::Peer(peer) => match take(Turn::Peer(peer)) {
                    Ok(measured) => Some(measured),
                    Err(error) => {
                        played.failed[peer] = Some(format!("{error:#}"));
                        None
                    }
                },
            });
        }
        for (peer, pairs) in played.pairs.iter_mut().enumerate() {
            pairs.extend(pair(&plan, &results, peer));
        }
    }
    Ok(played)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Turn::{Ours, Peer};

    #[test]
    fn one_peer_takes_turns_with_ours() {
        assert_eq!(round(1), [Ours, Peer(0)]);
        assert_eq!(round(2), [Ours, Peer(0), Peer(1), Ours]);
        assert_eq!(round(3), [Ours, Peer(0), Peer(1), Ours, Peer(2)]);
        assert_eq!(round(0), [Ours]);
    }

    #[test]
    fn every_peer_has_a_run_of_ours_beside_it() {
        for peers in 1..20 {
            let turns = round(peers);
            let results: Vec<Option<usize>> = (0..turns.len()).map(Some).collect();
            for peer in 0..peers {
                let pair = pair(&turns, &results, peer).unwrap();
                assert_eq!(turns[pair.peer], Peer(peer));
                assert_eq!(turns[pair.ours], Ours);
                assert_eq!(pair.ours.abs_diff(pair.peer), 1, "{peers} peers");
            }
        }
    }

    #[test]
    fn a_failed_run_is_in_no_pair() {
        let turns = round(3);
        let results = [Some(1), None, Some(3), Some(4), Some(5)];
        assert_eq!(pair(&turns, &results, 0), None);
        assert_eq!(pair(&turns, &results, 1), Some(Pair { ours: 4, peer: 3 }));
        assert_eq!(pair(&turns, &results, 2), Some(Pair { ours: 4, peer: 5 }));
    }
    #[test]
    fn a_peer_that_failed_is_not_waited_for_again_and_our_own_failure_ends_it() {
        let mut asked = Vec::new();
        let played = play(2, 2, |turn| {
            asked.push(turn);
            anyhow::ensure!(turn != Peer(1), "it is not installed");
            Ok(asked.len())
        });
        let played = played.unwrap();
        assert_eq!(asked, [Ours, Peer(0), Peer(1), Ours, Ours, Peer(0), Ours]);
        assert_eq!(played.pairs[0].len(), 2);
        assert!(played.pairs[1].is_empty() && played.failed[0].is_none());
        assert_eq!(played.failed[1].as_deref(), Some("it is not installed"));
        let ended = play(1, 3, |turn| {
            anyhow::ensure!(turn != Ours, "we broke");
            Ok(0)
        });
        assert_eq!(ended.err().unwrap().to_string(), "we broke");
    }
}
