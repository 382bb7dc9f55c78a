//! Every rule's examples are its tests: what is bad is found, what is good is not.

use stanchion_review::{all_rules, review_text};

#[test]
fn every_bad_example_is_found_and_no_good_one_is() {
    let mut wrong = Vec::new();
    for rule in all_rules() {
        for example in rule.examples {
            let finds = |text| {
                review_text(example.language, text)
                    .iter()
                    .any(|finding| finding.rule == rule.name)
            };
            if !finds(example.bad) {
                wrong.push(format!(
                    "{} ({}): the bad example is not found",
                    rule.name,
                    example.language.as_str()
                ));
            }
            if finds(example.good) {
                wrong.push(format!(
                    "{} ({}): the good example is found",
                    rule.name,
                    example.language.as_str()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_good_example_has_no_other_grave_finding() {
    for rule in all_rules() {
        for example in rule.examples {
            for finding in review_text(example.language, example.good) {
                let grave = finding.severity >= stanchion_review::Severity::Medium
                    && finding.confidence == stanchion_review::Confidence::High;
                assert!(
                    !grave,
                    "the mend of {} is found by {}: {}",
                    rule.name, finding.rule, finding.snippet
                );
            }
        }
    }
}

#[test]
fn there_are_at_least_sixty_rules_each_with_all_that_a_reader_needs() {
    let rules = all_rules();
    assert!(rules.len() >= 60, "{} rules", rules.len());
    let mut names: Vec<_> = rules.iter().map(|rule| rule.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rules.len(), "two rules share a name");
    for rule in rules {
        let kebab = rule
            .name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter == '-');
        assert!(kebab, "{} is not kebab-case", rule.name);
        assert!(!rule.examples.is_empty(), "{} has no example", rule.name);
        for (what, text) in [
            ("title", rule.title),
            ("why", rule.why),
            ("source", rule.source),
            ("mend", rule.mend),
        ] {
            assert!(text.len() > 10, "{} has no {what}", rule.name);
        }
    }
}
