use std::fmt;

use crate::Setting;

/// What a value of the right type must also satisfy.
pub struct Rule<T> {
    bounds: Option<Bounds<T>>,
}

struct Bounds<T> {
    hold: Box<dyn Fn(&T) -> bool>,
    text: String,
}

/// The default of a setting that has none; its type is an `Option`.
#[derive(Debug, Clone, Copy)]
pub struct Unset;

/// What may stand as a default in [`settings!`](crate::settings): a value, or its text as a file would have it.
pub trait IntoDefault<T> {
    /// The default.
    ///
    /// # Panics
    /// When the text is not a value of the type: a mistake in the program, found by every test that loads it.
    fn into_default(self) -> T;
}

impl<T: Setting> IntoDefault<T> for T {
    fn into_default(self) -> T {
        self
    }
}

impl<T: Setting> IntoDefault<T> for &'static str {
    fn into_default(self) -> T {
        T::parse(self).unwrap_or_else(|refused| panic!("a default is wrong: {refused}"))
    }
}

impl<T> IntoDefault<Option<T>> for Unset {
    fn into_default(self) -> Option<T> {
        None
    }
}

impl<T: Setting> Rule<T> {
    /// Every value of the type.
    #[must_use]
    pub fn any() -> Self {
        Rule { bounds: None }
    }

    /// From `low` to `high`, both allowed; an unset value is allowed too.
    pub fn between(low: impl IntoDefault<T>, high: impl IntoDefault<T>) -> Self
    where
        T: PartialOrd + 'static,
    {
        let (low, high): (T, T) = (low.into_default(), high.into_default());
        let written = |bound: &T| bound.show().unwrap_or_default().replace('"', "");
        let text = format!("from {} to {}", written(&low), written(&high));
        let hold = move |value: &T| value.show().is_none() || (low <= *value && *value <= high);
        Rule {
            bounds: Some(Bounds {
                hold: Box::new(hold),
                text,
            }),
        }
    }

    pub(crate) fn holds(&self, value: &T) -> bool {
        self.bounds
            .as_ref()
            .is_none_or(|bounds| (bounds.hold)(value))
    }

    /// "from A to B", when it bounds anything.
    pub(crate) fn text(&self) -> Option<&str> {
        self.bounds.as_ref().map(|bounds| bounds.text.as_str())
    }
}

impl<T> fmt::Debug for Rule<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("bounds", &self.bounds.as_ref().map(|bounds| &bounds.text))
            .finish()
    }
}
