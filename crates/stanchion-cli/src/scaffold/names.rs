mod taken;

use anyhow::ensure;

use taken::{KEYWORDS, MODULES, told, types};

/// The longest name; service names become names of Kubernetes objects, which have at most 63.
const CHARS_MAX: usize = 40;

/// What the templates' words are replaced by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// `parcel-desk`: crate, binary, image, Kubernetes objects.
    pub(crate) service: String,
    /// `parcel_desk`: the first context.
    pub(crate) context: String,
    /// `parcel`: what it is about, one of them.
    pub(crate) thing: String,
}

impl Names {
    /// Names of a service; context and thing follow from the service's name unless given.
    pub(crate) fn new(
        service: &str,
        context: Option<&str>,
        thing: Option<&str>,
    ) -> anyhow::Result<Self> {
        let context = context.map_or_else(
            || service.replace('-', "_"),
            |context| context.replace('-', "_"),
        );
        let follows = thing.is_none();
        let thing = thing.map_or_else(|| singular(&context), |thing| thing.replace('-', "_"));
        let taken = KEYWORDS.contains(&&*thing) || MODULES.contains(&&*thing);
        ensure!(
            !(follows && taken && thing != context),
            "one of `{context}` would be a `{thing}`: {}; say what it is about by --thing",
            told(&thing)
        );
        for (what, name) in [
            ("service", service),
            ("context", &context),
            ("thing", &thing),
        ] {
            word(what, name)?;
            let dashed = what != "service" || !name.contains('_');
            ensure!(dashed, "`{name}` is no name of a service: write a dash");
            ensure!(!MODULES.contains(&name), "{}", told(name));
        }
        let names = Self {
            service: service.to_owned(),
            context,
            thing,
        };
        for name in [names.type_name(), names.types()] {
            ensure!(!types().contains(&*name), "{}", told(&name));
        }
        word("things", &names.things())?;
        Ok(names)
    }

    /// `Parcel`.
    pub(crate) fn type_name(&self) -> String {
        camel(&self.thing)
    }

    /// `parcels`.
    pub(crate) fn things(&self) -> String {
        plural(&self.thing)
    }

    /// `Parcels`.
    pub(crate) fn types(&self) -> String {
        camel(&self.things())
    }

    /// The text with its words replaced.
    pub(crate) fn put(&self, text: &str, extra: &[(&str, String)]) -> String {
        let things = self.things();
        let words = [
            ("service", self.service.clone()),
            ("service_ident", self.service.replace('-', "_")),
            ("SERVICE", self.service.replace('-', "_").to_uppercase()),
            ("context", self.context.clone()),
            ("thing", self.thing.clone()),
            ("Thing", self.type_name()),
            ("THING", self.thing.to_uppercase()),
            ("things", things.clone()),
            ("Things", self.types()),
            ("thing_words", self.thing.replace('_', " ")),
            ("path", things.replace('_', "-")),
            ("table", things.clone()),
            ("permission", self.thing.replace('_', "-")),
            ("db", self.service.replace('-', "_")),
        ];
        let all = words
            .iter()
            .map(|(word, with)| (*word, with))
            .chain(extra.iter().map(|(word, with)| (*word, with)));
        all.fold(text.to_owned(), |text, (word, with)| {
            text.replace(&format!("__{word}__"), with)
        })
    }
}

/// Whether it can be the name of a module, a function and, with dashes, of a file.
///
/// # Errors
/// Another letter than `[a-z0-9_-]`, no letter first, two lines in a row or one at the end, too long, a word of Rust.
pub(crate) fn word(what: &str, name: &str) -> anyhow::Result<()> {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_lowercase());
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let ends = !name.ends_with(['-', '_']) && !name.contains("__") && !name.contains("--");
    ensure!(
        first && name.chars().all(plain) && ends && name.len() <= CHARS_MAX,
        "`{name}` is no name of a {what}: lower case letters, digits and dashes, a letter first, at most {CHARS_MAX}"
    );
    ensure!(!KEYWORDS.contains(&name), "{}", told(name));
    Ok(())
}

/// `parcel_desk` as `ParcelDesk`.
pub(crate) fn camel(name: &str) -> String {
    let words = name.split(['_', '-']).map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}

fn plural(name: &str) -> String {
    let before_y = |stem: &str| stem.ends_with(['a', 'e', 'i', 'o', 'u']);
    if let Some(stem) = name.strip_suffix('y').filter(|stem| !before_y(stem)) {
        return format!("{stem}ies");
    }
    let hisses = ["s", "x", "z", "ch", "sh"]
        .iter()
        .any(|end| name.ends_with(end));
    format!("{name}{}", if hisses { "es" } else { "s" })
}

fn singular(name: &str) -> String {
    let stem = |end: &str| name.strip_suffix(end).filter(|stem| stem.len() > 1);
    if let Some(stem) = stem("ies") {
        return format!("{stem}y");
    }
    if let Some(stem) = ["sses", "xes", "ches", "shes"]
        .iter()
        .find_map(|end| name.ends_with(end).then(|| &name[..name.len() - 2]))
    {
        return stem.to_owned();
    }
    match stem("s").filter(|stem| !stem.ends_with(['s', 'u', 'i'])) {
        Some(stem) => stem.to_owned(),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_many_of_a_name() {
        for (one, many) in [
            ("parcel", "parcels"),
            ("delivery", "deliveries"),
            ("address", "addresses"),
            ("box", "boxes"),
            ("key", "keys"),
        ] {
            assert_eq!((plural(one).as_str(), singular(many).as_str()), (many, one));
        }
        assert_eq!(singular("status"), "status");
    }

    #[test]
    fn names_that_are_no_modules_are_refused() {
        for name in [
            "",
            "Parcels",
            "9lives",
            "a--b",
            "match",
            "stanchion",
            "-x",
            "x-",
            "über",
            "a/b",
            "serde",
            &"x".repeat(41),
        ] {
            assert!(Names::new(name, None, None).is_err(), "{name}");
        }
        let refused = Names::new("desk", Some("returns"), None).unwrap_err();
        assert!(refused.to_string().contains("--thing"), "{refused}");
        Names::new("desk", Some("returns"), Some("parcel-return")).unwrap();
        // Types that would stand twice in a file, one of them by its plural; and what only looks like it.
        for thing in [
            "option", "metadata", "body", "seen", "problem", "statu", "a",
        ] {
            let refused = Names::new("desk", None, Some(thing));
            assert!(refused.is_err(), "{thing}");
        }
        for thing in ["event", "order", "payment", "ticket"] {
            Names::new("desk", None, Some(thing)).unwrap();
        }
        let names = Names::new("parcel-desk", None, Some("parcel-label")).unwrap();
        assert_eq!(
            names.put(
                "__context__ __Thing__ __THING___X /__path__ open___thing__",
                &[]
            ),
            "parcel_desk ParcelLabel PARCEL_LABEL_X /parcel-labels open_parcel_label"
        );
    }
}
