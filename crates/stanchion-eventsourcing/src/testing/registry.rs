use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde::{Serialize, de};
use serde_json::{Map, Value, json};
use stanchion_messaging::Contract;

/// Set, it has [`Registry::check`] write the schemas anew instead of comparing them.
const UPDATE: &str = "REGISTRY_UPDATE";

/// The field of a golden file that says what is made of it today.
const READS_AS: &str = "reads_as";

/// What a context announces and stores, as files beside its code: golden ones that every later version of the code
/// must read, and JSON Schemas that are made by asking the code.
///
/// `golden/NAME.json` is written by hand when a contract or an event is made, and never changed once it is released.
/// It holds a message's payload, or an event as the log holds it (`{"type": …, "data": …}`), every optional field
/// filled in; `golden/NAME~WORD.json` is another one of that name. Where something else is made of it today, such as
/// by an upcast, that stands under `reads_as`. `schema/NAME.json` is written by the code, when `REGISTRY_UPDATE` is set.
pub struct Registry {
    folder: PathBuf,
    known: BTreeMap<String, Again>,
    /// Types that have no variant, only steps that lead on.
    events: Vec<(&'static str, Again)>,
}

/// Reads and writes again; the reason if the code does not read it.
type Again = fn(&Value) -> Result<Value, String>;

impl Registry {
    /// Of the crate in this folder: `env!("CARGO_MANIFEST_DIR")`.
    pub fn of(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            known: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// The contract `C`, by its name.
    #[must_use]
    pub fn contract<C: Contract>(mut self) -> Self {
        self.known.insert(C::NAME.to_owned(), again::<C>);
        self
    }

    /// The events of an enum, each by the name `CATEGORY.TYPE`, all of them.
    ///
    /// # Panics
    /// It does not say which there are: it is no enum tagged `type`.
    #[must_use]
    pub fn events<E: Serialize + DeserializeOwned>(mut self, category: &'static str) -> Self {
        let types = types_of::<E>();
        assert!(
            !types.is_empty(),
            "the events of {category} are not tagged with their type"
        );
        for kind in types {
            self.known.insert(format!("{category}.{kind}"), again::<E>);
        }
        self.events.push((category, again::<E>));
        self
    }

    /// Proves that everything has a golden file, that each golden file is read, and written as it was; that fields of
    /// a newer version are passed over; and that the schemas are those of the code.
    ///
    /// # Panics
    /// One of it is not so.
    #[track_caller]
    pub fn check(&self) {
        let golden = self.golden();
        let mut schemas = BTreeMap::new();
        for (file, stored) in &golden {
            let name = file.split('~').next().unwrap_or(file);
            let again = self.again(name);
            let again = again.unwrap_or_else(|| panic!("nobody knows {name} any more"));
            reads(file, again, stored);
            schemas.insert(name.to_owned(), schema(name, again, stored));
        }
        let has = |name: &&String| schemas.contains_key(*name);
        let missing: Vec<_> = self.known.keys().filter(|name| !has(name)).collect();
        assert!(missing.is_empty(), "write golden/NAME.json of {missing:?}");
        for (name, schema) in &schemas {
            let text = format!("{schema:#}\n");
            same(
                &self.folder.join("schema").join(format!("{name}.json")),
                &text,
            );
        }
    }

    fn again(&self, name: &str) -> Option<Again> {
        let old = || {
            let category = name.split('.').next()?;
            let events = self.events.iter().find(|(known, _)| *known == category);
            events.map(|(_, again)| *again)
        };
        self.known.get(name).copied().or_else(old)
    }

    fn golden(&self) -> BTreeMap<String, Value> {
        let folder = self.folder.join("golden");
        let files = std::fs::read_dir(&folder);
        let files = files.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let read = |path: PathBuf| {
            let text = std::fs::read_to_string(&path);
            let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let value = serde_json::from_str(&text);
            let value = value.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path
                .file_stem()
                .map(|name| name.to_string_lossy().into_owned());
            (name.unwrap_or_default(), value)
        };
        let files = files.map(|file| file.expect("a folder can be read").path());
        files.map(read).collect()
    }
}

fn again<T: Serialize + DeserializeOwned>(stored: &Value) -> Result<Value, String> {
    let read: T = serde_json::from_value(stored.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(read).map_err(|error| error.to_string())
}

#[track_caller]
fn reads(file: &str, again: Again, stored: &Value) {
    let mut stored = stored.clone();
    let reads_as = stored
        .as_object_mut()
        .and_then(|fields| fields.remove(READS_AS));
    let expected = reads_as.unwrap_or_else(|| stored.clone());
    assert_eq!(again(&stored).as_ref(), Ok(&expected), "golden/{file}.json");
    // Who announces, or stores, may be newer than who reads.
    let is_event = stored.get("type").is_some();
    let fields = if is_event {
        stored.get_mut("data").and_then(Value::as_object_mut)
    } else {
        stored.as_object_mut()
    };
    if let Some(fields) = fields {
        fields.insert("made_later".into(), json!(1));
        assert_eq!(
            again(&stored),
            Ok(expected),
            "{file} with a field that is made later"
        );
    }
}

/// What the code takes under that name, found by taking parts of a golden file away.
fn schema(name: &str, again: Again, stored: &Value) -> Value {
    let mut stored = stored.clone();
    if let Some(fields) = stored.as_object_mut() {
        fields.remove(READS_AS);
    }
    let mut schema = shape(&stored, &stored, "", again);
    if let Some(described) = schema.as_object_mut() {
        let draft = "https://json-schema.org/draft/2020-12/schema";
        described.insert("$schema".into(), draft.into());
        described.insert("title".into(), name.into());
    }
    schema
}

/// One value, which stands at that pointer in the whole, with what is below it.
fn shape(whole: &Value, here: &Value, pointer: &str, again: Again) -> Value {
    match here {
        Value::Object(members) => {
            let (mut properties, mut required) = (Map::new(), Vec::new());
            for (name, value) in members {
                let below = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                if again(&without(whole, pointer, name)).is_err() {
                    required.push(name.clone());
                }
                properties.insert(name.clone(), shape(whole, value, &below, again));
            }
            json!({"type": "object", "properties": properties, "required": required})
        }
        Value::Array(items) => match items.first() {
            Some(first) => {
                let items = shape(whole, first, &format!("{pointer}/0"), again);
                json!({"type": "array", "items": items})
            }
            None => json!({"type": "array"}),
        },
        Value::String(_) if pointer == "/type" => json!({"const": here}),
        Value::String(_) => match words(whole, pointer, again) {
            Some(known) => json!({"type": "string", "enum": known, "examples": [here]}),
            None => json!({"type": "string", "examples": [here]}),
        },
        Value::Number(number) if number.is_f64() => json!({"type": "number"}),
        Value::Number(_) => json!({"type": "integer"}),
        Value::Bool(_) => json!({"type": "boolean"}),
        Value::Null => json!({"type": "null"}),
    }
}

/// The words that the code takes at that pointer, as it names them to whoever comes with another one; `None` where it takes
/// any text.
fn words(whole: &Value, pointer: &str, again: Again) -> Option<BTreeSet<String>> {
    const NONE_OF_THEM: &str = "no such word";
    let mut copy = whole.clone();
    *copy.pointer_mut(pointer)? = NONE_OF_THEM.into();
    let refused = again(&copy).err()?;
    let unknown = format!("unknown variant `{NONE_OF_THEM}`, expected ");
    let (_, expected) = refused.split_once(&unknown)?;
    let words = expected.split('`').skip(1).step_by(2);
    Some(words.map(str::to_owned).collect())
}

fn without(whole: &Value, pointer: &str, name: &str) -> Value {
    let mut copy = whole.clone();
    if let Some(members) = copy.pointer_mut(pointer).and_then(Value::as_object_mut) {
        members.remove(name);
    }
    copy
}

/// Dies unless the file says this, or writes it where that was asked for.
#[track_caller]
fn same(file: &Path, text: &str) {
    if std::env::var_os(UPDATE).is_some() {
        let folder = file.parent().expect("a schema lies in a folder");
        std::fs::create_dir_all(folder).expect("a folder can be made");
        std::fs::write(file, text).expect("a schema can be written");
        return;
    }
    let there = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(there, text, "{}: {UPDATE}=1 writes it", file.display());
}

/// The types of an event enum, as it names them to whoever comes with an unknown one.
fn types_of<E: DeserializeOwned>() -> BTreeSet<&'static str> {
    let unknown = MapDeserializer::<_, Types>::new([("type", "\0"), ("data", "\0")].into_iter());
    E::deserialize(unknown)
        .err()
        .map(|types| types.0)
        .unwrap_or_default()
}

/// An error that keeps nothing but the types that were expected.
#[derive(Debug)]
struct Types(BTreeSet<&'static str>);

impl de::Error for Types {
    fn custom<T: Display>(_: T) -> Self {
        Self(BTreeSet::new())
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(expected.iter().copied().collect())
    }
}

impl Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Types {}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(tag = "type", content = "data", rename_all = "snake_case")]
    enum Event {
        Placed { cents: i64, note: Option<String> },
        Shipped,
    }

    #[test]
    fn an_enum_names_its_types() {
        assert_eq!(types_of::<Event>(), BTreeSet::from(["placed", "shipped"]));
        assert_eq!(types_of::<i64>(), BTreeSet::new());
    }

    #[test]
    fn a_schema_knows_what_must_be_there() {
        let stored = json!({"type": "placed", "data": {"cents": 5, "note": "for Ada"}});
        let made = schema("order.placed", again::<Event>, &stored);
        assert_eq!(made["required"], json!(["data", "type"]));
        assert_eq!(made["properties"]["type"], json!({"const": "placed"}));
        assert_eq!(made["properties"]["data"]["required"], json!(["cents"]));
        assert_eq!(
            made["properties"]["data"]["properties"]["cents"]["type"],
            "integer"
        );
    }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Reason {
        SoldOut,
        Declined,
    }

    #[derive(Serialize, Deserialize)]
    struct Failed {
        why: Vec<Reason>,
        note: String,
    }

    #[test]
    fn a_schema_knows_the_words_of_an_enum() {
        let stored = json!({"why": ["declined"], "note": "sorry"});
        let made = schema("orders.failed.v1", again::<Failed>, &stored);
        let why = &made["properties"]["why"]["items"];
        assert_eq!(why["enum"], json!(["declined", "sold_out"]));
        assert_eq!(made["properties"]["note"]["enum"], Value::Null);
    }

    #[test]
    #[should_panic(expected = "golden/order.placed.json")]
    fn a_stored_event_that_would_be_written_otherwise_is_found() {
        let stored = json!({"type": "placed", "data": {"cents": 5, "note": "", "gone": 1}});
        reads("order.placed", again::<Event>, &stored);
    }

    #[test]
    fn what_is_made_of_an_old_one_today_is_said_beside_it() {
        let stored = json!({
            "type": "placed", "data": {"cents": 5, "gone": 1},
            "reads_as": {"type": "placed", "data": {"cents": 5, "note": null}},
        });
        reads("order.placed", again::<Event>, &stored);
        reads("order.shipped", again::<Event>, &json!({"type": "shipped"}));
    }
}
