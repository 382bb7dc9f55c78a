use proptest::prelude::*;
use stanchion_config::SecretString;
use tracing::{Level, error, error_span, info, info_span, span, warn};

use super::escape::{CUT, VALUE_BYTES_MAX, disturbs};
use super::*;
use crate::testing::{capture, capture_as};

#[test]
fn an_event_carries_the_fields_of_the_spans_around_it_and_the_inner_one_wins() {
    let logged = capture();
    let outer = info_span!(
        "outer",
        request_id = "r-1",
        step = 1,
        later = tracing::field::Empty
    );
    let inner = info_span!(parent: &outer, "inner", step = 2);
    outer.record("later", true);
    inner.in_scope(|| info!(target: "shop", count = 7, ratio = 0.5, "counted"));
    let line = &logged.lines()[0];
    let expected = serde_json::json!({
        "timestamp": line["timestamp"], "trace_id": line["trace_id"], "level": "INFO", "target": "shop",
        "message": "counted", "request_id": "r-1", "step": 2, "later": true, "count": 7, "ratio": 0.5,
    });
    assert_eq!(*line, expected);
}

#[test]
fn a_time_is_rfc_3339_in_utc_with_microseconds() {
    let logged = capture();
    info!("now");
    let time = logged.lines()[0]["timestamp"].as_str().unwrap().to_owned();
    let digits = time.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(digits, "0000-00-00T00:00:00.000000Z");
}

#[test]
fn ids_are_there_even_when_only_errors_are_wanted() {
    let logged = capture_as(LogFormat::Json, "error");
    let span = info_span!("request", request_id = "r-1");
    span.in_scope(|| {
        warn!("not wanted");
        error!("wanted");
    });
    let lines = logged.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["request_id"], "r-1");
    assert_eq!(lines[0]["trace_id"].as_str().map(str::len), Some(32));
}

#[test]
fn an_event_outside_of_spans_has_no_ids() {
    let logged = capture();
    info!("alone");
    let line = &logged.lines()[0];
    assert!(
        line.get("trace_id").is_none() && line.get("request_id").is_none(),
        "{line}"
    );
}

#[test]
fn a_field_cannot_pose_as_the_level_or_the_time() {
    let logged = capture();
    info!(
        level = "ERROR",
        timestamp = "never",
        r#type = "order",
        "odd"
    );
    let text = logged.text();
    assert!(!text.contains("ERROR") && !text.contains("never"), "{text}");
    assert_eq!(logged.lines()[0]["type"], "order");
}

#[test]
fn a_huge_value_is_cut_at_a_character() {
    let logged = capture();
    let huge = "ü".repeat(1 << 20);
    info!(shown = huge, debugged = ?huge, displayed = %huge, "{huge}");
    let line = &logged.lines()[0];
    for name in ["shown", "debugged", "displayed", "message"] {
        let value = line[name].as_str().unwrap();
        let length = value.len();
        assert!(
            length <= VALUE_BYTES_MAX && length > VALUE_BYTES_MAX - 8,
            "{name}: {length}"
        );
        assert!(value.ends_with(CUT));
    }
}

#[test]
fn a_value_that_just_fits_is_whole() {
    let fits = "x".repeat(VALUE_BYTES_MAX - CUT.len_utf8());
    let logged = capture();
    info!(whole = fits, cut = %format_args!("{fits}x"), "two");
    let line = &logged.lines()[0];
    assert_eq!(line["whole"], fits);
    assert!(line["cut"].as_str().unwrap().ends_with(CUT));
}

#[test]
fn a_pretty_line_is_short_and_has_the_same_ids() {
    let logged = capture_as(LogFormat::Pretty, "info");
    let span = error_span!("request", request_id = "r-1");
    span.in_scope(|| info!(target: "shop", path = "/a\u{1b}[31m\nforged", "completed"));
    let line = logged.text();
    assert!(
        line.contains(" INFO  completed path=/a\\u{1b}[31m\\nforged request_id=r-1 trace_id="),
        "{line}"
    );
    assert!(
        line.ends_with(" (shop)\n") && line.lines().count() == 1,
        "{line}"
    );
}

#[test]
fn numbers_and_truth_values_are_none_of_texts() {
    let logged = capture();
    info!(
        whole = 1.0,
        odd = f64::NAN,
        low = i64::MIN,
        high = u64::MAX,
        wide = u128::MAX,
        yes = true,
        "kinds"
    );
    let line = &logged.lines()[0];
    let expected = serde_json::json!({
        "whole": 1.0, "odd": null, "low": i64::MIN, "high": u64::MAX, "wide": u128::MAX.to_string(), "yes": true,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(line[name], *value, "{name}");
    }
}

#[test]
fn what_is_logged_may_log_while_it_is_written() {
    struct Loud;
    impl std::fmt::Display for Loud {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            info!("inner");
            f.write_str("loud")
        }
    }
    let logged = capture();
    info!(value = %Loud, "outer");
    // tracing itself lets no event in from within another.
    assert_eq!(logged.lines().last().unwrap()["value"], "loud");
}

#[test]
fn a_secret_in_a_field_is_not_written() {
    let logged = capture();
    let secret = SecretString::from("canary");
    info!(?secret, "signed in");
    assert!(!logged.text().contains("canary"));
}

proptest! {
    #[test]
    fn whatever_is_logged_one_event_is_one_line_of_plain_characters(
        text in "\\PC*|[\\x00-\\x1f\\x7f-\\u{9f}\"\\\\\u{2028}\u{202e}]*|(?s).*",
    ) {
        for format in [LogFormat::Json, LogFormat::Pretty] {
            let logged = capture_as(format, "info");
            let span = span!(Level::INFO, "request", request_id = %text);
            span.in_scope(|| info!(field = text, debugged = ?text, "{text}"));
            let written = logged.text();
            let line = written.strip_suffix('\n').unwrap();
            prop_assert!(!line.contains(disturbs), "{:?}", line);
            if format == LogFormat::Json {
                let lines = logged.lines();
                prop_assert_eq!(lines[0]["field"].as_str(), Some(text.as_str()));
            }
        }
    }
}
