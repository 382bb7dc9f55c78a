use serde::Deserialize;

use super::table::{Table, Value, table};
use super::*;

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    book: String,
    facts: Facts,
    answers: BTreeMap<String, String>,
}

fn chosen(table: &Table, facts: &Facts, decision: &str) -> Option<String> {
    let rule = *choose(table, facts).get(decision)?;
    let decision = table.decisions.iter().find(|other| other.id == decision)?;
    Some(decision.rules[rule].choose.clone())
}

#[test]
fn the_written_cases_get_the_answers_that_the_books_give() {
    let cases: Cases = toml::from_str(include_str!("cases.toml")).unwrap();
    assert!(cases.case.len() >= 12);
    for Case {
        name,
        book,
        facts,
        answers,
    } in cases.case
    {
        assert!(!book.is_empty());
        decide(&facts).unwrap();
        for (decision, answer) in answers {
            let is = chosen(table(), &facts, &decision);
            assert_eq!(
                is.as_deref(),
                Some(answer.as_str()),
                "{name}: {decision} ({book})"
            );
        }
    }
}

#[test]
fn each_rule_has_a_case_in_which_it_makes_the_difference() {
    for (at, decision) in table().decisions.iter().enumerate() {
        for (nth, rule) in decision.rules.iter().enumerate() {
            let decides = choose(table(), &rule.decides)
                .get(decision.id.as_str())
                .copied();
            assert_eq!(
                decides,
                Some(nth),
                "{} of {} does not decide its own case",
                rule.id,
                decision.id
            );
            let mut without = table().clone();
            without.decisions[at].rules.remove(nth);
            let otherwise = chosen(&without, &rule.decides, &decision.id);
            assert_ne!(
                otherwise.as_ref(),
                Some(&rule.choose),
                "{}: the answer is the same without it",
                rule.id
            );
        }
    }
}

#[test]
fn the_table_names_only_what_it_has() {
    let mut earlier: Vec<&Decision> = Vec::new();
    for fact in &table().facts {
        fact.check(&fact.assumed).unwrap();
    }
    for decision in &table().decisions {
        for rule in &decision.rules {
            assert!(decision.option(&rule.choose).is_some(), "{}", rule.id);
            assert!(
                !rule.because.is_empty() && !rule.source.is_empty(),
                "{}",
                rule.id
            );
            for condition in &rule.when {
                let (name, with) = condition.names();
                let answer = earlier.iter().find(|earlier| earlier.id == name);
                match (table().fact(name), answer, with) {
                    (Some(fact), None, with) => fact.check(with).unwrap(),
                    (None, Some(earlier), Value::Word(word)) => {
                        assert!(earlier.option(word).is_some(), "{}", rule.id)
                    }
                    _ => panic!(
                        "{}: `{name}` is neither a fact nor an earlier decision",
                        rule.id
                    ),
                }
            }
        }
        let used = |id: &str| decision.rules.iter().any(|rule| rule.choose == id);
        assert!(
            decision.options.iter().all(|option| used(&option.id)),
            "{}: an option nobody chooses",
            decision.id
        );
        let (last, others) = decision.rules.split_last().unwrap();
        assert!(
            last.when.is_empty() && others.iter().all(|rule| !rule.when.is_empty()),
            "{}",
            decision.id
        );
        earlier.push(decision);
    }
}

#[test]
fn every_fact_can_change_some_answer() {
    for fact in &table().facts {
        let named = table()
            .decisions
            .iter()
            .flat_map(|decision| &decision.rules)
            .flat_map(|rule| &rule.when);
        assert!(
            named
                .into_iter()
                .any(|condition| condition.names().0 == fact.id),
            "{} is asked for nothing",
            fact.id
        );
    }
}

#[test]
fn what_would_change_the_answer_does_change_it() {
    let given = Facts::from([
        ("teams".to_owned(), Value::Number(3)),
        (
            "independent_release".to_owned(),
            Value::Word("strong".into()),
        ),
    ]);
    let answers = decide(&given).unwrap();
    let architecture = &answers.answers[0];
    assert_eq!(architecture.choose, "modular_monolith");
    let change = Change {
        if_fact: "teams = 4".into(),
        then: "microservices".into(),
    };
    assert!(
        architecture.would_change.contains(&change),
        "{:?}",
        architecture.would_change
    );
}

#[test]
fn a_fact_that_is_not_there_or_has_another_value_is_refused_by_name() {
    let wrong = facts_of("team_sice = 4").unwrap_err().to_string();
    assert!(
        wrong.starts_with("there is no fact `team_sice`; there are team_size, "),
        "{wrong}"
    );
    let wrong = facts_of("audit = \"some\"").unwrap_err().to_string();
    assert_eq!(wrong, "audit is one of none, log, full, not `some`");
    assert!(facts_of("teams = 0").is_err());
}
