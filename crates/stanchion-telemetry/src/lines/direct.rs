//! Lines that are written without an event, for what comes by the thousand.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::filter::Targets;

use super::{Label, Line, Lines, escape};
use crate::{trace, unrecorded};

/// A line on its way, without an event: its fields are appended as they come.
pub struct Direct<'l>(&'l mut Line);

/// Writes the line of an event of the level `INFO` that is about the whole of a request, as [`init`](crate::init) would
/// write it, several times as fast; false if it has not, and the event has to be made.
///
/// It can where nobody but the log wants the event: in the one span of an unrecorded trace (see
/// [`trace::begin`](crate::trace::begin)), and unless the log is filtered by spans or fields. It then writes nothing
/// where the filter leaves the line out. The line has the fields that `write` gives it, each name once, and none of that
/// span's. It may wait, see [`MAY_WAIT`](crate::MAY_WAIT).
pub fn write_directly(target: &str, message: &str, write: impl Fn(&mut Direct<'_>)) -> bool {
    if !unrecorded::is_alone() {
        return false;
    }
    tracing::dispatcher::get_default(|dispatch| {
        let Some(lines) = Lines::of(dispatch) else {
            return false;
        };
        let Some(wanted) = &lines.wanted else {
            return false;
        };
        if wanted.would_enable(target, &Level::INFO) {
            lines.line(true, |line| {
                line.begin("INFO");
                escape::text(&mut line.text, line.format, message);
                write(&mut Direct(line));
                line.end(|text, format| escape::text(text, format, target));
            });
        }
        true
    })
}

/// The filter of these directives for whoever has no event to show it; `None` if some look at spans or fields.
pub(crate) fn wanted(directives: &str) -> Option<Targets> {
    let plain = Some(directives).filter(|text| !text.contains(['[', '{']));
    plain?.parse().ok()
}

impl Direct<'_> {
    /// A field.
    pub fn text(&mut self, label: Label, value: &str) {
        if value.len() > escape::VALUE_BYTES_MAX / 2 {
            self.0.text.push_str(label.of_number(self.0.format));
            return escape::written(&mut self.0.text, self.0.format, format_args!("{value}"));
        }
        self.within(label, |line| {
            escape::part(&mut line.text, line.format, value)
        });
    }

    /// A field whose value is known to be printable ASCII without quotes and backslashes, such as an id of our own: it is
    /// not looked at.
    pub fn plain(&mut self, label: Label, value: &str) {
        self.within(label, |line| line.text.push_str(value));
    }

    /// An address, as its `Display` has it.
    pub fn address(&mut self, label: Label, value: IpAddr) {
        self.within(label, |line| address(&mut line.text, value));
    }

    /// A number as it is.
    pub fn number(&mut self, label: Label, value: u32) {
        self.0.text.push_str(label.of_number(self.0.format));
        whole(&mut self.0.text, value.into());
    }

    /// A time in milliseconds, to the nearest microsecond: a longer tail tells nothing.
    pub fn milliseconds(&mut self, label: Label, value: Duration) {
        self.0.text.push_str(label.of_number(self.0.format));
        milliseconds(&mut self.0.text, value);
    }

    /// The current trace, as `trace_id`.
    pub fn trace_id(&mut self) {
        if let Some(trace) = trace::active_trace() {
            self.plain(crate::label!("trace_id"), trace.as_str());
        }
    }

    fn within(&mut self, label: Label, write: impl FnOnce(&mut Line)) {
        let (before, behind) = label.of_text(self.0.format);
        self.0.text.push_str(before);
        write(self.0);
        self.0.text.push_str(behind);
    }
}

/// As `{value}` is written, without the way through a formatter for most.
fn address(text: &mut String, value: IpAddr) {
    let IpAddr::V4(value) = value else {
        // Writing to a string does not fail.
        let _ = write!(text, "{value}");
        return;
    };
    for (at, part) in value.octets().into_iter().enumerate() {
        if at > 0 {
            text.push('.');
        }
        digits(text, part.into());
    }
}

/// A number below a thousand.
fn digits(text: &mut String, value: u32) {
    for unit in [100, 10, 1] {
        if value >= unit || unit == 1 {
            text.push(char::from(b'0' + (value / unit % 10) as u8));
        }
    }
}

/// As `{value}` is written, without the way through a formatter.
fn whole(text: &mut String, mut value: u64) {
    if value < 1_000 {
        return digits(text, value as u32);
    }
    let mut digits = [0; 20];
    let mut begin = digits.len();
    loop {
        begin -= 1;
        digits[begin] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    // They are digits all.
    text.push_str(std::str::from_utf8(&digits[begin..]).unwrap_or_default());
}

/// As the shortest number that reads back as the same is written, which always has a point.
fn milliseconds(text: &mut String, value: Duration) {
    let part = u64::from(value.subsec_nanos() + 500) / 1_000;
    let micros = value.as_secs().saturating_mul(1_000_000);
    let micros = micros.saturating_add(part);
    whole(text, micros / 1_000);
    let part = micros % 1_000;
    let mut end = [b'.', 0, 0, 0];
    for (at, unit) in [100, 10, 1].into_iter().enumerate() {
        end[at + 1] = b'0' + (part / unit % 10) as u8;
    }
    let length = match part {
        _ if part % 10 != 0 => 4,
        _ if part % 100 != 0 => 3,
        _ => 2,
    };
    text.push_str(std::str::from_utf8(&end[..length]).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use tracing::info;

    use super::*;
    use crate::testing::capture_as;
    use crate::{LogFormat, label};

    const TARGET: &str = module_path!();

    fn written_directly(duration: Duration, path: &str) -> bool {
        write_directly(TARGET, "request completed", |line| {
            line.plain(label!("request_id"), "r-1");
            line.trace_id();
            line.text(label!("path"), path);
            line.number(label!("status"), 200);
            line.milliseconds(label!("duration_ms"), duration);
        })
    }

    fn written_by_an_event(duration: Duration, path: &str) {
        info!(
            name: crate::MAY_WAIT,
            request_id = "r-1",
            trace_id = trace::trace_id(),
            path,
            status = 200,
            duration_ms = (duration.as_secs_f64() * 1e6).round() / 1e3,
            "request completed"
        );
    }

    /// All but the time, which is another.
    fn timeless(line: &str) -> String {
        line.chars().skip_while(|c| *c != 'Z').collect()
    }

    #[test]
    fn a_line_without_an_event_is_the_line_of_the_event() {
        let long = "x".repeat(escape::VALUE_BYTES_MAX * 2);
        let micros = [0, 1, 10, 999, 1_000, 1_234, 12_300, 100_000, 30_000_000];
        for format in [LogFormat::Json, LogFormat::Pretty] {
            for path in ["/a", "", "/\"\n\u{1b}é", &long] {
                for micros in micros {
                    let logged = capture_as(format, "info");
                    let span = || tracing::info_span!("request", request_id = "r-1");
                    let span = trace::begin(None, span);
                    let _entered = span.enter();
                    let duration = Duration::from_micros(micros);
                    assert!(written_directly(duration, path));
                    written_by_an_event(duration, path);
                    let text = logged.text();
                    let [direct, by_event] = text.lines().collect::<Vec<_>>()[..] else {
                        panic!("{text}");
                    };
                    assert_eq!(timeless(direct), timeless(by_event));
                }
            }
        }
    }

    #[test]
    fn an_address_is_written_as_elsewhere() {
        for expected in [
            "0.0.0.0",
            "127.0.0.1",
            "10.20.100.205",
            "255.255.255.255",
            "::1",
        ] {
            let mut text = String::new();
            address(&mut text, expected.parse().unwrap());
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn the_filter_of_the_log_is_that_of_the_lines_without_an_event() {
        let prefix = TARGET.split("::").next().unwrap();
        for (directives, is_dealt_with, lines) in [
            ("info".to_owned(), true, 1),
            ("debug".to_owned(), true, 1),
            ("warn".to_owned(), true, 0),
            ("off".to_owned(), true, 0),
            (format!("info,{prefix}=warn"), true, 0),
            (format!("warn,{prefix}=info"), true, 1),
            (format!("{prefix}::lines=debug"), true, 1),
            ("other=trace".to_owned(), true, 0),
            ("warn,[request]=info".to_owned(), false, 0),
            ("warn,[{request_id}]=info".to_owned(), false, 0),
        ] {
            let logged = capture_as(LogFormat::Json, &directives);
            let span = trace::begin(None, || tracing::info_span!("request"));
            let _entered = span.enter();
            let dealt_with = written_directly(Duration::ZERO, "/");
            assert_eq!(dealt_with, is_dealt_with, "{directives}");
            assert_eq!(logged.lines().len(), lines, "{directives}");
            written_by_an_event(Duration::ZERO, "/");
            if is_dealt_with {
                assert_eq!(logged.lines().len(), 2 * lines, "{directives}");
            }
        }
    }

    #[test]
    fn where_somebody_else_wants_the_event_it_has_to_be_made() {
        let directly = || written_directly(Duration::ZERO, "/");
        let sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let sampled = sampled.parse().unwrap();
        let request = || tracing::info_span!("request");
        assert!(!trace::begin(None, request).in_scope(directly), "no log");
        let _logged = capture_as(LogFormat::Json, "info");
        assert!(!directly(), "no request");
        let recorded = trace::begin(Some(&sampled), request);
        assert!(!recorded.in_scope(directly), "it is recorded");
        let alone = trace::begin(None, request);
        let inner = alone.in_scope(|| tracing::info_span!("inner", step = 1));
        assert!(!inner.in_scope(directly), "its span has fields");
        let outer = tracing::info_span!("outer", instance = 7);
        let within = outer.in_scope(|| trace::begin(None, request));
        assert!(!within.in_scope(directly), "the span around it has fields");
        assert!(alone.in_scope(directly));
    }
}
