use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "cache-stampede",
    title: "A cache is refilled by everybody who misses",
    why: "When a hot key expires all its readers ask the database the same question at once.",
    source: "https://pkg.go.dev/golang.org/x/sync/singleflight; https://docs.rs/moka (get_with)",
    mend: "Let one caller load and the others wait for it: single flight.",
    point: Point::Concurrency,
    severity: Severity::Low,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, check), Check::File(Language::Go, check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn price(&self, id: u64) -> Result<Price, Error> {\n    if let Some(price) = self.cache.get(&id).await { return Ok(price); }\n    let price = self.db.fetch_one(id).await?;\n    self.cache.insert(id, price.clone()).await;\n    Ok(price)\n}\n",
            good: "async fn price(&self, id: u64) -> Result<Price, Error> {\n    self.cache.try_get_with(id, self.load(id)).await\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc (s *Store) Price(ctx context.Context, id string) (p Price, err error) {\n\tif p, ok := s.cache.Get(id); ok {\n\t\treturn p, nil\n\t}\n\terr = s.db.QueryRowContext(ctx, one, id).Scan(&p)\n\ts.cache.Set(id, p)\n\treturn p, err\n}\n",
            good: "package a\n\nfunc (s *Store) Price(ctx context.Context, id string) (Price, error) {\n\treturn s.group.Do(id, func() (Price, error) { return s.load(ctx, id) })\n}\n",
        },
    ],
};

fn check(source: &Source, found: &mut Found) {
    if source.has_any(&["singleflight", "single_flight", "get_with", "get_or_load", "try_get_with", "OnceCell"]) {
        return;
    }
    for function in functions(source) {
        let on = |names: &[&str], receivers: &[&str]| calls_in(function).find(|call| names.contains(&call.name) && says(call.receiver_word(), receivers));
        let cache = ["cache", "rdb", "redis"];
        let get = on(&["get", "Get"], &cache);
        let put = on(&["set", "insert", "put", "Set", "Add", "Put", "SetEx", "set_ex"], &cache);
        let load = calls_in(function).find(|call| ["fetch_one", "fetch_optional", "query_one", "QueryRowContext", "QueryRow", "First", "find_by_id", "FindByID", "GetByID"].contains(&call.name));
        if let (Some(get), Some(put), Some(load)) = (get, put, load)
            && get.node.start() < load.node.start() && load.node.start() < put.node.start()
        {
            found.at(put.node);
        }
    }
}
