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
}
