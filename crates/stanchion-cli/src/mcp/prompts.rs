use rmcp::model::{
    ErrorData, GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role,
};

/// A name, what it is for, its argument with what that is, and what it says.
const PROMPTS: [(&str, &str, &str, &str, &str); 3] = [
    (
        "review_change",
        "Review this change as a backend architect",
        "change",
        "The change: a revision, a diff or a description",
        "Review this change as a backend architect:\n\n{}\n\nCall `review` (with `diff` if it is a revision) and judge each finding in the code; `explain` says what a rule \
         means. Read the decisions (tool `adr`, action `list`) and name each that the change touches or breaks. Then go through what no rule sees: direction of dependencies, error handling, concurrency, resources that are not bounded, \
         observability, tests, security, configuration, shutdown, migrations. Say for each finding the line, why, and how it is mended; \
         the worst first. Say what you could not see.",
    ),
    (
        "design_service",
        "Design this service",
        "service",
        "What the service is for, and what is known of it",
        "Design this service:\n\n{}\n\nAsk for the facts that `decide` lacks and that would change its answer, no more. Call `decide`. Give the \
         recommendation with its reasons, what speaks against it, what would change it and the numbers to measure. When the user agrees, \
         write the record with `adr_new`, and set the service up with `scaffold` (`dry_run` first).",
    ),
    (
        "write_decision",
        "Write the decision down",
        "decision",
        "What was decided, and what you know of why",
        "Write this decision down as a record:\n\n{}\n\nLook at the records that are there (tool `adr`). Ask for what is missing: what was open, \
         what was chosen, what gets better, what it costs and whom, what else was possible and why not. Sentences, no slogans, numbers where \
         there are some. Write it with `adr_new`, and run `adr` with action `check`.",
    ),
];

pub(super) fn all() -> Vec<Prompt> {
    let prompts = PROMPTS.iter().map(|(name, about, argument, what, _)| {
        let argument = PromptArgument::new(*argument)
            .with_description(*what)
            .with_required(true);
        Prompt::new(*name, Some(*about), Some(vec![argument]))
    });
    prompts.collect()
}

pub(super) fn get(name: &str, arguments: &JsonObject) -> Result<GetPromptResult, ErrorData> {
    let found = PROMPTS.iter().find(|(prompt, ..)| *prompt == name);
    let unknown = || ErrorData::invalid_params(format!("there is no prompt `{name}`"), None);
    let (_, _, argument, _, text) = found.ok_or_else(unknown)?;
    let missing = || ErrorData::invalid_params(format!("`{name}` needs `{argument}`"), None);
    let given = arguments
        .get(*argument)
        .and_then(|value| value.as_str())
        .ok_or_else(missing)?;
    let message = PromptMessage::new_text(Role::User, text.replace("{}", given));
    Ok(GetPromptResult::new(vec![message]))
}
