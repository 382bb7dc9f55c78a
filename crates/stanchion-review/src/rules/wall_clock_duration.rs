use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "wall-clock-duration",
    title: "A duration measured with the wall clock",
    why: "The clock is set, slewed and leaps: timeouts fire at once or never, durations are negative.",
    source: "https://doc.rust-lang.org/std/time/struct.SystemTime.html; https://pkg.go.dev/time#hdr-Monotonic_Clocks",
    mend: "`Instant` in Rust, `time.Since(start)` on a `time.Time` in Go.",
    point: Point::Concurrency,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn timed() -> Duration {\n    let start = SystemTime::now();\n    work();\n    start.elapsed().unwrap_or_default()\n}\n",
            good: "fn timed() -> Duration {\n    let start = Instant::now();\n    work();\n    start.elapsed()\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc timed() int64 {\n\tstart := time.Now().UnixNano()\n\twork()\n\treturn time.Now().UnixNano() - start\n}\n",
            good: "package a\n\nfunc timed() time.Duration {\n\tstart := time.Now()\n\twork()\n\treturn time.Since(start)\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["SystemTime::now", "std::time::SystemTime::now", "Utc::now", "chrono::Utc::now"].contains(&call.path)) {
        let (Some((statement, names)), Some(body)) = (binding(call.node), body_of(call.node)) else { continue };
        if statement.field("value") != Some(call.node) {
            continue;
        }
        let name = names[0];
        let measured = [format!("{name}.elapsed()"), format!("now().duration_since({name})"), format!("Utc::now() - {name}"), format!("Utc::now().signed_duration_since({name})")];
        if measured.iter().any(|form| body.text().contains(form.as_str())) {
            found.at(call.node);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for binary in source.each("binary_expression").filter(|node| node.has_token("-")) {
        let (left, right) = (binary.field_text("left"), binary.field_text("right"));
        let Some(unit) = left.strip_prefix("time.Now().").filter(|unit| unit.starts_with("Unix") && unit.ends_with("()")) else { continue };
        let Some(body) = body_of(binary) else { continue };
        if body.text().contains(&format!("{right} := time.Now().{unit}")) {
            found.at(binary);
        }
    }
}
