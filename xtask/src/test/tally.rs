//! Passed, failed, skipped: summed over every runner.

use std::fmt;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// Of those that passed, how many did so only when they were tried again.
    pub(crate) late: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }

    /// `Summary [ 4.002s] 11 tests run: 9 passed (1 slow), 1 failed, 1 timed out, 0 skipped`
    pub(crate) fn read_nextest(&mut self, line: &str) {
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
            return;
        };
        self.passed += number_before(counts, " passed");
        self.failed += number_before(counts, " failed");
        self.skipped += number_before(counts, " ignored");
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
        Ok(())
    }
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
            "15 passed, 4 failed, 5 skipped (2 passed only when tried again)"
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
