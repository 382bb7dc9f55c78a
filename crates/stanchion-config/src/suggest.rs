//! "Did you mean": the known name nearest to a mistyped one.

/// The known key that was probably meant by `unknown`, both in dotted form.
///
/// Compared are whole keys, and last parts where only the section is wrong.
pub(crate) fn nearest<'a>(
    unknown: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let whole = known
        .clone()
        .map(|key| (distance(unknown, key), key))
        .filter(|(distance, _)| *distance <= mistakes_max(unknown))
        .min();
    let by_last_part = || {
        let mut same = known.filter(|key| last_part(key) == last_part(unknown));
        same.next().filter(|_| same.next().is_none())
    };
    whole.map(|(_, key)| key).or_else(by_last_part)
}

fn last_part(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

fn mistakes_max(name: &str) -> usize {
    (last_part(name).len() / 3).clamp(1, 3)
}

/// Insertions, deletions, replacements and swaps of neighbours between two names.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["server.listen", "admin.listen", "server.secret", "log"];

    fn meant(unknown: &str) -> Option<&'static str> {
        nearest(unknown, KNOWN.into_iter())
    }

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        assert_eq!(meant("server.lsiten"), Some("server.listen"));
        assert_eq!(meant("sever.listen"), Some("server.listen"));
        assert_eq!(meant("lgo"), Some("log"));
    }

    #[test]
    fn the_right_name_in_the_wrong_section_is_understood_when_there_is_only_one() {
        assert_eq!(meant("auth.secret"), Some("server.secret"));
        assert_eq!(meant("payments.listen"), None);
    }

    #[test]
    fn another_word_is_not_guessed_at() {
        assert_eq!(meant("server.colour"), None);
    }
}
