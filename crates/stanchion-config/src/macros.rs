/// Declares a section of the configuration: a struct with defaults that implements [`Settings`](crate::Settings).
///
/// A field is `name: Type = default`, where the default is a value of the type or its text as a file would have it;
/// `= unset` for an `Option`, `= section` for another such struct. `#[range(1..=500)]` above a field bounds it.
/// Doc comments become the comments of [`default_file`](crate::default_file). The struct is `Clone`, `Debug`
/// (secrets hidden) and `Default`. `check = path;` after the struct names a `fn(&Self, &mut Checks)` that judges the
/// section once all its values were read without a problem.
///
/// ```
/// stanchion_config::settings! {
///     /// The pool of connections.
///     pub struct PoolSettings {
///         /// Connections open at once.
///         #[range(1..=500)]
///         pub open: u32 = 25,
///         /// Connections kept while idle.
///         pub idle: u32 = 5,
///     }
///     check = idle_fits_open;
/// }
///
/// fn idle_fits_open(pool: &PoolSettings, checks: &mut stanchion_config::Checks<'_>) {
///     if pool.idle > pool.open {
///         checks.refuse("idle", "more idle connections than open ones", "lower `idle` or raise `open`");
///     }
/// }
/// # assert_eq!(PoolSettings::default().open, 25);
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident { $($fields:tt)* }
        $(check = $check:expr;)?
    ) => {
        $crate::__settings! { [$(#[doc = $doc])* $vis struct $name] [$($check)?] [] $($fields)* }
    };
}

/// Takes the fields of [`settings!`] one by one, then writes the type.
#[doc(hidden)]
#[macro_export]
macro_rules! __settings {
    (
        $head:tt $check:tt [$($done:tt)*]
        $(#[doc = $doc:literal])*
        $vis:vis $field:ident : $type:ty = section $(, $($rest:tt)*)?
    ) => {
        $crate::__settings! {
            $head $check
            [$($done)* { section [$($doc)*] [$vis] $field [$type] [<$type as ::core::default::Default>::default()] [] }]
            $($($rest)*)?
        }
    };
    (
        $head:tt $check:tt [$($done:tt)*]
        $(#[doc = $doc:literal])* $(#[range($low:literal ..= $high:literal)])?
        $vis:vis $field:ident : $type:ty = unset $(, $($rest:tt)*)?
    ) => {
        $crate::__settings! {
            $head $check
            [$($done)* { leaf [$($doc)*] [$vis] $field [$type] [$crate::Unset] [$($low, $high)?] }]
            $($($rest)*)?
        }
    };
    (
        $head:tt $check:tt [$($done:tt)*]
        $(#[doc = $doc:literal])* $(#[range($low:literal ..= $high:literal)])?
        $vis:vis $field:ident : $type:ty = $default:expr $(, $($rest:tt)*)?
    ) => {
        $crate::__settings! {
            $head $check
            [$($done)* { leaf [$($doc)*] [$vis] $field [$type] [$default] [$($low, $high)?] }]
            $($($rest)*)?
        }
    };
    (
        [$(#[doc = $head_doc:literal])* $head_vis:vis struct $name:ident] [$($check:expr)?]
        [$({ $kind:ident [$($doc:literal)*] [$vis:vis] $field:ident [$type:ty] [$default:expr] $range:tt })*]
    ) => {
        $(#[doc = $head_doc])*
        #[derive(Debug, Clone)]
        $head_vis struct $name {
            $($(#[doc = $doc])* $vis $field: $type,)*
        }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::__default!($kind [$type] [$default]),)* }
            }
        }

        impl $crate::Settings for $name {
            fn describe(&self, outline: &mut $crate::Outline) {
                let _ = &outline;
                $($crate::__describe!($kind outline [self.$field] $field [$($doc),*] $range);)*
            }

            fn read(self, reader: &mut $crate::Reader<'_>) -> Self {
                let problems_before = reader.problem_count();
                let read = Self { $($field: $crate::__read!($kind reader [self.$field] $field $range),)* };
                if reader.problem_count() == problems_before {
                    $(reader.check(&read, $check);)?
                }
                read
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __default {
    (section [$type:ty] [$default:expr]) => {
        $default
    };
    (leaf [$type:ty] [$default:expr]) => {
        <_ as $crate::IntoDefault<$type>>::into_default($default)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __describe {
    (section $outline:ident [$value:expr] $field:ident $docs:tt $range:tt) => {
        $outline.section(stringify!($field), &$docs, &$value)
    };
    (leaf $outline:ident [$value:expr] $field:ident $docs:tt $range:tt) => {
        $outline.leaf(
            stringify!($field),
            &$docs,
            &$value,
            &$crate::__rule!($range),
        )
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __read {
    (section $reader:ident [$value:expr] $field:ident $range:tt) => {
        $reader.section(stringify!($field), $value)
    };
    (leaf $reader:ident [$value:expr] $field:ident $range:tt) => {
        $reader.leaf(stringify!($field), $value, &$crate::__rule!($range))
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __rule {
    ([]) => {
        $crate::Rule::any()
    };
    ([$low:literal, $high:literal]) => {
        $crate::Rule::between($low, $high)
    };
}

/// Declares a plain enum that a setting can have, each choice with its text.
///
/// The enum is `Copy`, `Eq` and `Display`, and implements [`Setting`](crate::Setting).
///
/// ```
/// stanchion_config::choice! {
///     /// Where the service runs.
///     pub enum Environment {
///         /// A developer's machine.
///         Dev = "dev",
///         /// Customers depend on it.
///         Prod = "prod",
///     }
/// }
/// # use stanchion_config::Setting;
/// assert_eq!(Environment::parse("prod"), Ok(Environment::Prod));
/// assert_eq!(Environment::parse("test"), Err("`test` is not one of `dev`, `prod`".to_owned()));
/// ```
#[macro_export]
macro_rules! choice {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $name:ident {
            $($(#[doc = $choice_doc:literal])* $choice:ident = $text:literal),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name {
            $($(#[doc = $choice_doc])* $choice,)+
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(match self { $(Self::$choice => $text,)+ })
            }
        }

        impl $crate::Setting for $name {
            fn expected() -> ::std::string::String {
                ::std::format!("one of {}", [$(::core::concat!("`", $text, "`")),+].join(", "))
            }

            fn parse(text: &str) -> ::core::result::Result<Self, ::std::string::String> {
                match text.trim() {
                    $($text => ::core::result::Result::Ok(Self::$choice),)+
                    _ => ::core::result::Result::Err(
                        $crate::Value::Text(text.to_owned()).is_not(&<Self as $crate::Setting>::expected()),
                    ),
                }
            }

            fn show(&self) -> ::core::option::Option<::std::string::String> {
                ::core::option::Option::Some(::std::format!("\"{self}\""))
            }
        }
    };
}
