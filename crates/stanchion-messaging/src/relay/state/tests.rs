use super::*;

fn message(position: i64, contract: &str) -> Message {
    Message {
        id: Uuid::from_u128(position as u128),
        contract: contract.into(),
        key: "a".into(),
        payload: serde_json::Value::Null,
        origin: Origin {
            log: LogId(Uuid::nil()),
            position: Position(position),
        },
        metadata: Metadata::new(None),
        at: stanchion_runtime::clock::now(),
    }
}

fn announced(positions: &[i64]) -> RelayState {
    let mut state = RelayState::default();
    for position in positions {
        assert!(state.announce(message(*position, "x.y.v1")).is_some());
        state.through.position = Position(*position);
    }
    state
}

fn links(envelopes: &[Envelope]) -> Vec<(i64, i64)> {
    let link = |it: &Envelope| (it.prev.0, it.message.origin.position.0);
    envelopes.iter().map(link).collect()
}

fn repeat(state: &mut RelayState, positions: &[i64]) -> Vec<Envelope> {
    let start = Position(positions[0] - 1);
    let start = state.again_from().unwrap_or(start).min(start);
    let messages = positions.iter().map(|it| message(*it, "x.y.v1"));
    let repeated = messages.filter_map(|it| state.repeat(start, it)).collect();
    state.repeated(start, Position(*positions.last().unwrap()));
    repeated
}

#[test]
fn a_line_that_is_set_back_while_the_log_is_read_is_not_taken_past_what_it_wants() {
    let mut state = announced(&[1, 4, 6, 8]);
    let after = |position| Redrive {
        after: Position(position),
        ..Redrive::default()
    };
    state.redrive(&after(4));
    // The read begins here, and ends after somebody who is further behind has asked.
    state.redrive(&after(1));
    assert!(state.repeat(Position(4), message(6, "x.y.v1")).is_none());
    state.repeated(Position(4), Position(6));
    assert_eq!(state.again_from(), Some(Position(1)));
    let again = repeat(&mut state, &[1, 4, 6, 8]);
    assert_eq!(links(&again), [(1, 4), (4, 6), (6, 8)]);
}

#[test]
fn a_line_is_chained_and_another_version_is_in_it_and_another_family_is_not() {
    let mut state = announced(&[1, 4]);
    let next = state.announce(message(6, "x.y.v2")).unwrap();
    let other = state.announce(message(7, "x.z.v1")).unwrap();
    assert_eq!(links(&[next, other]), [(4, 6), (0, 7)]);
}

#[test]
fn a_wish_for_what_comes_before_the_start_begins_there() {
    let mut state = announced(&[1, 4]);
    let wish = Redrive {
        after: Position(-1),
        ..Redrive::default()
    };
    assert!(state.redrive(&wish));
    assert_eq!(state.again_from(), Some(Position::START));
    let again = repeat(&mut state, &[1, 4]);
    assert_eq!(links(&again), [(0, 1), (1, 4)]);
}

#[test]
fn what_is_new_waits_until_its_line_was_announced_again() {
    let mut state = announced(&[1, 4, 6]);
    let wish = Redrive {
        after: Position(1),
        ..Redrive::default()
    };
    assert!(state.redrive(&wish));
    assert!(state.announce(message(8, "x.y.v1")).is_none());
    assert!(state.beacons(LogId(Uuid::nil())).is_empty());
    state.through.position = Position(8);
    assert_eq!(state.again_from(), Some(Position(1)));
    let again = repeat(&mut state, &[1, 4, 6]);
    assert_eq!(links(&again), [(1, 4), (4, 6)]);
    assert!(again.iter().all(|it| it.transport != it.message.id));
    assert_eq!(links(&repeat(&mut state, &[8])), [(6, 8)]);
    assert_eq!(state.again_from(), None);
    let next = state.announce(message(9, "x.y.v1")).unwrap();
    assert_eq!(links(&[next]), [(8, 9)]);
}

#[test]
fn a_bounded_stretch_is_announced_again_beside_what_is_new() {
    let mut state = announced(&[1, 4, 6]);
    let wish = Redrive {
        after: Position(0),
        through: Some(Position(4)),
        ..Redrive::default()
    };
    assert!(state.redrive(&wish));
    let next = state.announce(message(8, "x.y.v1")).unwrap();
    assert_eq!(links(&[next]), [(6, 8)]);
    assert_eq!(links(&repeat(&mut state, &[1, 4, 6])), [(0, 1), (1, 4)]);
    assert_eq!(state.again_from(), None);
}

#[test]
fn of_two_wishes_the_one_that_goes_further_back_counts() {
    let mut state = announced(&[1, 4, 6]);
    let after = |position| Redrive {
        after: Position(position),
        ..Redrive::default()
    };
    assert!(state.redrive(&after(4)) && state.redrive(&after(1)) && state.redrive(&after(4)));
    let again = repeat(&mut state, &[1, 4, 6]);
    assert_eq!(links(&again), [(1, 4), (4, 6)]);
    assert!(!state.redrive(&after(6)), "nothing is missing there");
}

#[test]
fn a_beacon_tells_the_last_of_each_line() {
    let state = announced(&[1, 4]);
    let beacons = state.beacons(LogId(Uuid::nil()));
    assert_eq!(links(&beacons), [(4, 4)]);
    assert_eq!(beacons[0].message.contract, "x.y.v0");
}

#[test]
fn the_state_is_small_and_comes_back_as_it_went() {
    let mut state = announced(&[1, 4]);
    state.redrive(&Redrive::default());
    let text = serde_json::to_string(&state).unwrap();
    assert!(text.len() < 400, "{text}");
    assert_eq!(serde_json::from_str::<RelayState>(&text).unwrap(), state);
}
