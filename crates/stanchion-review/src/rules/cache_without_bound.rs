use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "cache-without-bound",
    title: "A cache without a bound",
    why: "It grows with the number of keys ever asked for, which callers choose.",
    source: "Release It!, chapter 5: steady state",
    mend: "Bound it by entries or bytes and by time: an LRU, or a cache library with a capacity.",
    point: Point::Resources,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, check), Check::File(Language::Go, check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "struct Prices {\n    cache: Mutex<HashMap<String, Price>>,\n}\nimpl Prices {\n    fn put(&self, key: String, price: Price) { self.cache.lock().unwrap().insert(key, price); }\n}\n",
            good: "struct Prices {\n    cache: Mutex<LruCache<String, Price>>,\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\ntype Prices struct {\n\tcache map[string]Price\n}\n\nfunc (p *Prices) put(k string, v Price) { p.cache[k] = v }\n",
            good: "package a\n\ntype Prices struct {\n\tcache *lru.Cache[string, Price]\n}\n",
        },
    ],
};

fn check(source: &Source, found: &mut Found) {
    let maps = ["HashMap<", "BTreeMap<", "DashMap<", "map[", "sync.Map"];
    for field in fields(source).iter().filter(|field| says(field.name, &["cache"])) {
        let map = maps.iter().any(|map| field.kind.contains(map));
        // Keys of an enum or a type are as many as the program has.
        let few = field.kind.contains("TypeId") || field.kind.contains("reflect.Type") || field.kind.contains("&'static str");
        let shrinks = [".remove(", ".retain(", ".clear(", ".Delete(", "delete(", "clear(", ".evict", ".len() >", "len("].iter().any(|call| source.has(call));
        let grows = [".insert(", ".entry(", ".Store(", "] ="].iter().any(|call| source.has(call));
        if map && grows && !few && !shrinks {
            found.at(field.node);
        }
    }
}
