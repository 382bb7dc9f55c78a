//! Each program ends well and says what it showed.

use std::process::Command;

#[test]
fn repository_refuses_a_lost_update() {
    let said = run(env!("CARGO_BIN_EXE_repository"));
    assert_says(&said, "moved to Paris, version 1");
    assert_says(&said, "a write on an old version: Err(Stale)");
    assert_says(&said, "the same address again: Err(EmailTaken)");
}

#[test]
fn unit_of_work_leaves_both_or_neither() {
    let said = run(env!("CARGO_BIN_EXE_unit_of_work"));
    assert_says(&said, "went away before the commit: 1 row, 1 event");
    assert_says(&said, "wants Ada's number: 1 row, 1 event");
}

#[test]
fn use_case_tells_an_outage_from_a_no() {
    let said = run(env!("CARGO_BIN_EXE_use_case"));
    assert_says(&said, "two mugs: Ok(2500)");
    assert_says(&said, "UnknownSku(\"unicorn\")");
    assert_says(
        &said,
        "while the catalogue is out: Err(Unavailable(\"timed out\"))",
    );
    assert_says(&said, "orders kept: 1");
}

#[test]
fn event_bus_serves_each_subscriber_on_its_own() {
    let said = run(env!("CARGO_BIN_EXE_event_bus"));
    assert_says(&said, "mailer: ada\nmailer: bob\npoints: ada\npoints: bob");
    assert_says(&said, "audit: ada\naudit: bob");
}

#[test]
fn event_sourced_aggregate_never_sells_too_much() {
    let said = run(env!("CARGO_BIN_EXE_event_sourced_aggregate"));
    assert_says(&said, "two want three each: 1 refused");
    assert_says(&said, "free now: 2");
}

#[test]
fn cqrs_counts_every_event_once() {
    let said = run(env!("CARGO_BIN_EXE_cqrs"));
    assert_says(&said, "one more sale: [\"lamp 5\", \"mug 11\"]");
    assert_says(&said, "made anew: [\"lamp 5\", \"mug 11\"]");
}

#[test]
fn outbox_announces_after_a_crash() {
    let said = run(env!("CARGO_BIN_EXE_outbox"));
    assert_says(&said, "announced after the crash: orders.order_placed.v1");
    assert_says(&said, "with the same id: true");
}

#[test]
fn saga_compensates_once() {
    let said = run(env!("CARGO_BIN_EXE_saga"));
    assert_says(
        &said,
        "out of stock, events: 1\nthe same message again, events: 0",
    );
    assert_says(&said, "timers that fired too late: 1");
    assert_says(&said, "what happened: paid, refund_asked");
}

#[test]
fn composition_root_hands_each_part_on() {
    let said = run(env!("CARGO_BIN_EXE_composition_root"));
    assert_says(&said, "Hello, Ada! Yours, the shop");
    assert_says(&said, "Hei, Ada! Yours, the shop");
}

#[test]
fn factory_makes_no_default_of_a_typing_error() {
    let said = run(env!("CARGO_BIN_EXE_factory"));
    assert_says(&said, "memory: the door was opened at position 1");
    assert_says(&said, "sqlite: the door was opened at position 1");
    assert_says(&said, "UnknownStorage(\"sqlit\")");
}

#[test]
fn strategy_adds_up_to_the_cent() {
    let said = run(env!("CARGO_BIN_EXE_strategy"));
    assert_says(&said, "price: 2331, discount: 349, to_pay: 1982");
    assert_says(&said, "2000 prices add up to the cent for each of them");
}

#[test]
fn middleware_chain_refuses_before_the_handler() {
    let said = run(env!("CARGO_BIN_EXE_middleware_chain"));
    assert_says(&said, "passed > outer > inner handler < inner < outer");
    assert_says(&said, "GET /slow: 504");
    assert_says(&said, "2 MiB: 413");
}

#[test]
fn streams_take_an_append_once_and_refuse_who_is_late() {
    let said = run(env!("CARGO_BIN_EXE_streams"));
    assert_says(&said, "too late, the stream is at Some(Version(1))");
    assert_says(
        &said,
        "position 2: Booked { cents: 500 } by Some(\"user-17\")",
    );
    assert_says(
        &said,
        "mailed: opened of account-4711\nmailed: booked of account-4711",
    );
}

#[test]
fn inline_rows_are_there_or_the_append_is_not() {
    let said = run(env!("CARGO_BIN_EXE_inline"));
    assert_says(&said, "booked at 1: 500 cents");
    assert_says(&said, "refused, and not in the log: 1");
}

#[test]
fn rebuild_skips_nothing_and_tells_nobody_twice() {
    let said = run(env!("CARGO_BIN_EXE_rebuild"));
    assert_says(&said, "halted at position 2: a negative amount");
    assert_says(&said, "parked: 1");
    assert_says(&said, "rows that differ: 2\nrebuilt: ada has 700\nmails: 3");
}

#[test]
fn personal_data_is_sealed_everywhere_and_shredded_at_once() {
    let said = run(env!("CARGO_BIN_EXE_personal_data"));
    assert_says(&said, "the repository reads: Some(\"Ada Lovelace\")");
    assert_says(&said, "others read: Personal(subject-4711, sealed)");
    assert_says(&said, "the name is gone: true, orders: 1");
    assert_says(&said, "recorded: subject_shredded");
}

/// What the program printed; it must have ended well.
#[track_caller]
#[test]
fn breaker_opens_for_slow_answers_and_closes_after_good_ones() {
    let said = run(env!("CARGO_BIN_EXE_breaker"));
    assert_says(&said, "closed → open\nwhile open: Err(Refused(BreakerOpen");
    assert_says(&said, "open → half_open");
    assert_says(&said, "after three good ones: closed");
}

#[test]
fn retry_repeats_what_is_safe_and_what_the_budget_pays() {
    let said = run(env!("CARGO_BIN_EXE_retry"));
    assert_says(&said, "not reached: sent 2 times, Ok(25)");
    assert_says(
        &said,
        "timed out, without a key: sent 1 time, TimedOut (it may have taken effect)",
    );
    assert_says(&said, "timed out, with an idempotency key: sent 2 times");
    assert_says(&said, "all down: 100 calls made 1");
}

#[test]
fn bulkhead_keeps_one_hanging_dependency_to_itself() {
    let said = run(env!("CARGO_BIN_EXE_bulkhead"));
    assert_says(&said, "reports hang: Err(Refused(BulkheadFull))");
    assert_says(&said, "payments meanwhile: Ok(42)");
    assert_says(&said, "a hundred callers gone: 0 slots taken");
    assert_says(&said, "caller gone, work goes on: 1 slot taken");
}

#[test]
fn worker_pool_says_full_and_closed() {
    let said = run(env!("CARGO_BIN_EXE_worker_pool"));
    assert_says(&said, "3 taken, then Full");
    assert_says(
        &said,
        "a panic is a result: Err(Panicked(\"not an image\"))",
    );
    assert_says(&said, "after the shutdown: Err(Closed)");
}

#[test]
fn rate_limit_knows_no_border_and_forgets_the_invented() {
    let said = run(env!("CARGO_BIN_EXE_rate_limit"));
    assert_says(&said, "ann at once: 5 of 20");
    assert_says(&said, "eve around a border of seconds: 5 of 20");
    assert_says(
        &said,
        "ann wants three: the rate limit is used up, in 300ms",
    );
}

#[test]
fn cache_gives_nothing_old_after_a_change() {
    let said = run(env!("CARGO_BIN_EXE_cache"));
    assert_says(&said, "1000 readers at once: 1 read of the store");
    assert_says(&said, "the other process: 1 read");
    assert_says(&said, "changed by the other: 1300");
    assert_says(&said, "the slow reader: 1300, who comes after: 1400");
    assert_says(&said, "without the shared tier: 1400");
}

#[test]
fn graceful_shutdown_answers_what_it_has_taken() {
    let said = run(env!("CARGO_BIN_EXE_graceful_shutdown"));
    assert_says(&said, "in the lame-duck time, /ready: HTTP/1.1 503");
    assert_says(&said, "the request under way: HTTP/1.1 200 OK");
    assert_says(&said, "worker gave back: true");
}

#[test]
fn health_checks_tell_alive_from_ready() {
    let said = run(env!("CARGO_BIN_EXE_health_checks"));
    assert_says(&said, "the cache is out: 200 OK degraded");
    assert_says(
        &said,
        "the database too: 503 Service Unavailable unavailable",
    );
    assert_says(&said, "still alive: 200 OK");
    assert_says(&said, "both are back: 200 OK ready");
}

#[test]
fn token_pair_ends_the_family_at_a_second_use() {
    let said = run(env!("CARGO_BIN_EXE_token_pair"));
    assert_says(&said, "a second use at the same moment: refused");
    assert_says(&said, "the owner's token then: refused");
    assert_says(&said, "once more: the same one, true");
    assert_says(&said, "the token before the last: refused");
    assert_says(&said, "and whoever has the newest: refused");
}

fn run(program: &str) -> String {
    let ended = Command::new(program)
        .output()
        .expect("the program is built");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&ended.stderr);
    assert!(
        ended.status.success(),
        "{program}: {}\n{said}{complaint}",
        ended.status
    );
    said
}

#[track_caller]
fn assert_says(said: &str, part: &str) {
    assert!(said.contains(part), "`{part}` is not in:\n{said}");
}
