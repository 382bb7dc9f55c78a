use super::{Answers, Facts, table};
use crate::adr::{Draft, Form};

/// The record of what was decided, in the full form.
pub(crate) fn draft(answers: &Answers, title: &str, date: &str) -> Draft {
    let mut context = String::from("What was known:\n\n");
    context += &listed(&answers.given);
    if !answers.assumed.is_empty() {
        context += "\nNobody said these, so they were assumed:\n\n";
        context += &listed(&answers.assumed);
    }
    let mut decision = String::new();
    let (mut negative, mut alternatives, mut positive) = (Vec::new(), Vec::new(), Vec::new());
    for answer in &answers.answers {
        decision += &format!(
            "- {} **{}**. {} ({}; rule `{}`)\n",
            answer.question, answer.name, answer.because, answer.source, answer.rule
        );
        positive.push(format!(
            "{}: watch {}",
            answer.decision,
            answer.measure.join("; ")
        ));
        negative.extend(
            answer
                .against
                .iter()
                .map(|cost| format!("{}: {cost}", answer.decision)),
        );
        for change in &answer.would_change {
            alternatives.push(format!(
                "{}: {} if {}",
                answer.decision, change.then, change.if_fact
            ));
        }
    }
    Draft {
        title: title.to_owned(),
        status: "proposed".into(),
        date: date.to_owned(),
        context,
        decision,
        positive,
        negative,
        alternatives,
        code: Vec::new(),
        form: Some(Form::Full),
    }
}

fn listed(facts: &Facts) -> String {
    let asked = table()
        .facts
        .iter()
        .filter_map(|fact| Some((fact, facts.get(&fact.id)?)));
    asked
        .map(|(fact, value)| format!("- {} {value} (`{}`)\n", fact.asks, fact.id))
        .collect()
}
