use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "error-swallowed",
    title: "An error is seen and success is returned",
    why: "The caller is told that it worked; the failure is in no log and in no metric.",
    source: "https://github.com/gostaticanalysis/nilerr",
    mend: "Return the error; where the case is expected, ask for that case by name and log the rest.",
    point: Point::Errors,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc save(o Order) error {\n\tif err := write(o); err != nil {\n\t\treturn nil\n\t}\n\treturn nil\n}\n",
        good: "package a\n\nfunc save(o Order) error {\n\tif err := write(o); err != nil {\n\t\treturn err\n\t}\n\treturn nil\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for branch in source.each("if_statement").filter(|branch| branch.field_text("condition") == "err != nil") {
        let Some(block) = branch.field("consequence") else { continue };
        let Some(function) = body_of(branch) else { continue };
        let result = function.field_text("result").trim_end_matches(')');
        let gives_error = result == "error" || result.ends_with(", error") || result.ends_with(" error");
        let body = block.text().trim_start_matches('{').trim_end_matches('}').trim();
        let nothing = body == "return nil" || (body.starts_with("return ") && body.ends_with(", nil") && !body.contains('\n'));
        // Nobody is left to be told that the client went away.
        let to_client = branch.field_text("initializer");
        let gone = [".Write(", "WriteString(", "Fprint", ".Flush("].iter().any(|call| to_client.contains(call)) && (function_of(branch).is_some_and(is_handler) || to_client.contains("(w,") || to_client.contains("w.Write"));
        if gives_error && nothing && !gone && !body.contains("err") {
            found.at(block.each("return_statement").next().unwrap_or(branch));
        }
    }
}
