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

/// What a gRPC method's macro holds is code like any other.
#[test]
fn the_methods_of_a_grpc_service_are_reviewed() {
    let service = "use tonic::{Request, Response, Status};\n\
        stanchion::server::grpc_methods! {\n    \
            impl Orders for Api {\n        \
                async fn place(&self, _: Caller, request: Request<Order>) -> Result<Response<()>, Status> {\n            \
                    let (told, heard) = unbounded_channel();\n            \
                    Ok(Response::new(()))\n        \
                }\n    \
            }\n\
        }\n";
    let findings = review_text(stanchion_review::Language::Rust, service);
    let lines: Vec<_> = findings
        .iter()
        .filter(|finding| finding.rule == "unbounded-channel")
        .map(|finding| finding.line)
        .collect();
    assert_eq!(lines, [5], "{findings:?}");
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
