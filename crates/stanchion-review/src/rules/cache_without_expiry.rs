use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "cache-without-expiry",
    title: "A cached value never expires",
    why: "One lost invalidation serves the old value until somebody notices; the store only grows.",
    source: "https://redis.io/docs/latest/commands/set/ (EX)",
    mend: "Give every entry a time to live, with some jitter.",
    point: Point::Resources,
    severity: Severity::Low,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc put(ctx context.Context, rdb *redis.Client, k, v string) error {\n\treturn rdb.Set(ctx, k, v, 0).Err()\n}\n",
        good: "package a\n\nfunc put(ctx context.Context, rdb *redis.Client, k, v string) error {\n\treturn rdb.Set(ctx, k, v, ttl).Err()\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    if !source.has("redis") {
        return;
    }
    for call in calls(source).filter(|call| call.name == "Set" && call.args().len() == 4) {
        let context = call.arg(0).is_some_and(|arg| arg.text().to_ascii_lowercase().contains("ctx") || arg.text().contains("ontext"));
        if context && call.arg(3).is_some_and(|arg| ["0", "redis.KeepTTL * 0"].contains(&arg.text())) {
            found.at(call.node);
        }
    }
}
