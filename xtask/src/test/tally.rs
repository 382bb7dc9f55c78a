//! Passed, failed, skipped: summed over every runner, and who failed and why.

use std::fmt;

/// Failed tests that are named at the end; the rest is only counted.
const NAMED_MAX: usize = 20;

/// Lines of a panic that are said again beside the name of its test.
const REASON_LINES_MAX: usize = 8;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// Of those that passed, how many did so only when they were tried again.
    pub(crate) late: u64,
    failures: Vec<Failure>,
}

/// A test that failed. CI may show nothing but the end of a run, so it is said there again.
#[derive(Debug, Default, PartialEq, Eq)]
struct Failure {
    name: String,
    reason: Vec<String>,
    /// The lines of its panic are being read.
    open: bool,
    /// It passed when it was tried again.
    late: bool,
}

impl Tally {
    /// Of what is no runner's: an example, a run under faults.
    pub(crate) fn count<T>(&mut self, name: &str, outcome: &anyhow::Result<T>) {
        let Err(error) = outcome else {
            self.passed += 1;
            return;
        };
        self.failed += 1;
        let reason = format!("{error:#}");
        let lines: Vec<&str> = reason.lines().collect();
        // What a program printed before it failed comes first.
        let from = lines.len().saturating_sub(REASON_LINES_MAX);
        if let Some(failure) = self.failed_named(name) {
            failure.reason = lines[from..].iter().map(ToString::to_string).collect();
        }
    }

    /// `Summary [ 4.002s] 11 tests run: 9 passed (1 slow), 1 failed, 1 timed out, 0 skipped`
    pub(crate) fn read_nextest(&mut self, line: &str) {
        self.read_failure(line);
        let Some((_, counts)) = line
            .trim_start()
            .strip_prefix("Summary [")
            .and_then(|rest| rest.split_once("run: "))
        else {
            return;
        };
        self.passed += number_before(counts, " passed");
        self.skipped += number_before(counts, " skipped");
        self.late += number_before(counts, " flaky");
        self.failed += [" failed", " timed out", " exec failed"]
            .iter()
            .map(|what| number_before(counts, what))
            .sum::<u64>();
    }

    /// `test result: ok. 12 passed; 0 failed; 1 ignored; …`
    pub(crate) fn read_libtest(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ") else {
            self.read_failure(line);
            return;
        };
        self.passed += number_before(counts, " passed");
        self.failed += number_before(counts, " failed");
        self.skipped += number_before(counts, " ignored");
    }

    /// `FAIL [   0.1s] (1/2) package::binary a::test` or `test a::test ... FAILED`, and the panic that follows either.
    fn read_failure(&mut self, line: &str) {
        let line = line.trim();
        if let Some(name) = verdict_on(line, &["FLAKY"]) {
            let mut theirs = self.failures.iter_mut();
            if let Some(failure) = theirs.find(|it| it.name == name) {
                failure.late = true;
            }
            return;
        }
        if let Some(name) = failed_name(line) {
            self.failed_named(name);
            return;
        }
        let test = line
            .strip_prefix("thread '")
            .and_then(|rest| rest.split_once('\''))
            .map(|(test, _)| test);
        if let Some(test) = test.filter(|_| line.contains(" panicked at ")) {
            let mut theirs = self.failures.iter_mut();
            if let Some(failure) = theirs.find(|it| it.is_of(test) && it.reason.is_empty()) {
                failure.open = true;
            }
        }
        let Some(failure) = self.failures.iter_mut().find(|it| it.open) else {
            return;
        };
        let ended = line.is_empty() || line == "stack backtrace:" || line.starts_with("note: run");
        failure.open = !ended && failure.reason.len() < REASON_LINES_MAX;
        if failure.open {
            failure.reason.push(line.to_owned());
        }
    }

    /// The failure of this name, made when there is none yet; none when too many are named already.
    fn failed_named(&mut self, name: &str) -> Option<&mut Failure> {
        let known = self.failures.iter().position(|it| it.name == name);
        if known.is_none() && self.failures.len() < NAMED_MAX {
            self.failures.push(Failure {
                name: name.to_owned(),
                ..Failure::default()
            });
        }
        self.failures.iter_mut().find(|it| it.name == name)
    }

    /// Takes tests that returned early out of the passed ones.
    pub(crate) fn move_skipped(&mut self, count: u64) {
        self.passed = self.passed.saturating_sub(count);
        self.skipped += count;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )?;
        if self.late > 0 {
            write!(out, " ({} passed only when tried again)", self.late)?;
        }
        for failure in &self.failures {
            let how = if failure.late {
                "failed at first"
            } else {
                "failed"
            };
            write!(out, "\n{how}: {}", failure.name)?;
            for line in &failure.reason {
                write!(out, "\n    {line}")?;
            }
        }
        Ok(())
    }
}

impl Failure {
    /// Whether a thread of this name ran the test: nextest says the package and the binary before it.
    fn is_of(&self, test: &str) -> bool {
        self.name.rsplit(' ').next() == Some(test)
    }
}

/// The test that either runner says to have failed; nextest says of each try how it ended.
fn failed_name(line: &str) -> Option<&str> {
    if let Some(test) = line.strip_prefix("test ") {
        return test.strip_suffix(" ... FAILED");
    }
    verdict_on(
        line,
        &["FAIL", "TIMEOUT", "TMT", "ABORT", "SIGABRT", "SIGSEGV"],
    )
}

/// The test of `VERDICT [   0.1s] (1/2) package::binary a::test`.
fn verdict_on<'a>(line: &'a str, verdicts: &[&str]) -> Option<&'a str> {
    let (verdict, rest) = line.split_once('[')?;
    let mut words = verdict.split_whitespace();
    words.find(|word| verdicts.contains(word))?;
    let (_, test) = rest.split_once(']')?;
    let test = test.trim_start();
    Some(match test.split_once(") ") {
        Some((place, test)) if place.starts_with('(') => test,
        _ => test,
    })
}

/// The number that ends where `what` begins; 0 when it is not mentioned.
fn number_before(text: &str, what: &str) -> u64 {
    let parts = text.split([',', ';', '.', '(']).map(str::trim);
    let number = |part: &str| part.split_once(what)?.0.trim().parse().ok();
    parts.filter_map(number).next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn the_counts_of_both_runners_add_up() {
        let mut tally = Tally::default();
        tally.read_nextest("     Summary [   4.002s] 13 tests run: 10 passed (1 slow, 2 flaky), 1 failed, 2 timed out, 3 skipped");
        tally.read_libtest("test result: FAILED. 5 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.1s");
        tally.read_nextest("        FAIL [   0.1s] a_test_that_says 5 passed");
        assert_eq!(
            tally.to_string(),
            "15 passed, 4 failed, 5 skipped (2 passed only when tried again)\nfailed: a_test_that_says 5 passed"
        );
    }

    #[test]
    fn who_failed_is_named_at_the_end_with_the_panic() {
        let mut tally = Tally::default();
        let printed = "  TRY 1 FAIL [   0.1s] (1/2) shop::shop near::it_is_near
  stderr ───

    thread 'near::it_is_near' (7) panicked at near.rs:5:9:
    too far: 5
    stack backtrace:
       0: __rustc::rust_begin_unwind
   FLAKY 2/3 [   0.1s] (1/2) shop::shop near::it_is_near
        SLOW [> 60.000s] (─────────) shop::shop slow::but_good
     TIMEOUT [ 240.0s] (2/2) shop::shop hangs
test facade.rs - (line 3) ... FAILED
---- facade.rs - (line 3) stdout ----
thread 'main' (9) panicked at facade.rs:1:1:";
        for line in printed.lines() {
            tally.read_nextest(line);
        }
        tally.count("an example", &Err::<(), _>(anyhow::anyhow!("did not stop")));
        assert_eq!(
            tally.to_string(),
            "0 passed, 1 failed, 0 skipped
failed at first: shop::shop near::it_is_near
    thread 'near::it_is_near' (7) panicked at near.rs:5:9:
    too far: 5
failed: shop::shop hangs
failed: facade.rs - (line 3)
failed: an example
    did not stop"
        );
    }

    #[test]
    fn a_test_that_skipped_itself_did_not_pass() {
        let mut tally = Tally {
            passed: 3,
            skipped: 1,
            ..Tally::default()
        };
        tally.move_skipped(2);
        assert_eq!(
            tally,
            Tally {
                passed: 1,
                skipped: 3,
                ..Tally::default()
            }
        );
    }
}
