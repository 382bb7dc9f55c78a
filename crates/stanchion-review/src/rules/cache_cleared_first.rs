use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "cache-cleared-first",
    title: "A cache entry is cleared before the row is changed",
    why: "A reader in between puts the old row back, and it stays there until it expires.",
    source: "https://www.usenix.org/conference/nsdi13/technical-sessions/presentation/nishtala (Scaling Memcache, 3.2.1)",
    mend: "Change the row, commit, then clear; guard the refill with a version or a lease.",
    point: Point::Concurrency,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, check), Check::File(Language::Go, check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn rename(&self, user: User) -> Result<(), Error> {\n    self.cache.remove(&user.id).await;\n    self.db.execute(RENAME, &user).await\n}\n",
            good: "async fn rename(&self, user: User) -> Result<(), Error> {\n    self.db.execute(RENAME, &user).await?;\n    self.cache.remove(&user.id).await;\n    Ok(())\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc (s *Store) Rename(ctx context.Context, u User) error {\n\ts.cache.Del(ctx, u.ID)\n\t_, err := s.db.ExecContext(ctx, rename, u.ID)\n\treturn err\n}\n",
            good: "package a\n\nfunc (s *Store) Rename(ctx context.Context, u User) error {\n\t_, err := s.db.ExecContext(ctx, rename, u.ID)\n\ts.cache.Del(ctx, u.ID)\n\treturn err\n}\n",
        },
    ],
};

fn check(source: &Source, found: &mut Found) {
    let clears = ["remove", "invalidate", "del", "delete", "Del", "Delete", "Remove", "Invalidate"];
    let writes = ["execute", "Exec", "ExecContext", "save", "update", "Save", "Update", "Updates"];
    for function in functions(source) {
        let here = |call: &Call<'_>| body_of(call.node) == Some(function);
        let clear = calls_in(function).filter(here).find(|call| clears.contains(&call.name) && says(call.receiver_word(), &["cache", "redis", "rdb"]));
        let Some(clear) = clear else { continue };
        let again = calls_in(function).filter(|call| clears.contains(&call.name) && says(call.receiver_word(), &["cache", "redis", "rdb"])).count() > 1;
        let write = calls_in(function).filter(here).find(|call| {
            call.node.start() > clear.node.end() && writes.contains(&call.name) && says(call.receiver_word(), &["db", "pool", "tx", "repo", "repository", "store", "conn"])
        });
        if write.is_some() && !again {
            found.at(clear.node);
        }
    }
}
