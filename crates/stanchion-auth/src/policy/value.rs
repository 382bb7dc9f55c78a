use std::borrow::Cow;
use std::fmt;

use uuid::Uuid;

use crate::{Principal, Subject};

/// The type of principals that are people.
pub(crate) const USER: &str = "User";

/// The type of principals that are processes of ours.
pub(crate) const SERVICE: &str = "Service";

/// The type of principals that are programs of somebody's.
pub(crate) const CLIENT: &str = "Client";

/// All of them.
pub(crate) const PRINCIPALS: [&str; 3] = [USER, SERVICE, CLIENT];

/// Something with a type and a name, such as `User::"018f…"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity {
    kind: Cow<'static, str>,
    id: String,
}

/// What an attribute holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A whole number: a count, cents, seconds since 1970.
    Number(i64),
    /// Text, compared byte by byte.
    Text(String),
    /// Something with a name of its own.
    Entity(Entity),
    /// Several of a kind, in no order.
    Set(Vec<Value>),
}

/// What kind of value an attribute holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// [`Value::Bool`].
    Bool,
    /// [`Value::Number`].
    Number,
    /// [`Value::Text`].
    Text,
    /// [`Value::Entity`] of that type.
    Entity(String),
    /// [`Value::Set`] of values of that kind.
    Set(Box<Kind>),
}

/// The object that is asked about: its type, its id and its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub(crate) entity: Entity,
    pub(crate) attributes: Vec<(Cow<'static, str>, Value)>,
}

impl Entity {
    /// The thing of that type and id.
    #[must_use]
    pub fn new(kind: impl Into<Cow<'static, str>>, id: impl fmt::Display) -> Self {
        Self {
            kind: kind.into(),
            id: id.to_string(),
        }
    }

    /// The user with that id.
    #[must_use]
    pub fn user(id: Uuid) -> Self {
        Self::new(USER, id)
    }

    /// The principal: a `User` or an OAuth `Client` by its id, or a `Service` by its name.
    #[must_use]
    pub fn of(principal: &Principal) -> Self {
        match &principal.subject {
            Subject::User(id) => Self::user(*id),
            Subject::Service(name) => Self::new(SERVICE, name.as_str()),
            Subject::Client(id) => Self::new(CLIENT, id),
        }
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its id within the type.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Kind {
    /// Things of that type.
    #[must_use]
    pub fn entity(name: &str) -> Self {
        Self::Entity(name.to_owned())
    }

    /// Several of that kind.
    #[must_use]
    pub fn set_of(kind: Kind) -> Self {
        Self::Set(Box::new(kind))
    }
}

impl Value {
    /// Whether it is of that kind.
    pub(crate) fn is(&self, kind: &Kind) -> bool {
        match (self, kind) {
            (Self::Bool(_), Kind::Bool)
            | (Self::Number(_), Kind::Number)
            | (Self::Text(_), Kind::Text) => true,
            (Self::Entity(entity), Kind::Entity(name)) => entity.kind() == name,
            (Self::Set(values), Kind::Set(kind)) => values.iter().all(|value| value.is(kind)),
            _ => false,
        }
    }
}

impl Resource {
    /// An object of that type.
    #[must_use]
    pub fn new(kind: impl Into<Cow<'static, str>>, id: impl fmt::Display) -> Self {
        Self {
            entity: Entity::new(kind, id),
            attributes: Vec::new(),
        }
    }

    /// With that attribute; given twice, the first counts.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// With that attribute, if there is a value.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With that value in place of what the attribute was.
    #[must_use]
    pub fn replacing(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.attributes.retain(|(known, _)| known != name);
        self.attributes.push((name.to_owned().into(), value.into()));
        self
    }

    /// What it is.
    #[must_use]
    pub fn entity(&self) -> &Entity {
        &self.entity
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        let mut attributes = self.attributes.iter();
        let (_, value) = attributes.find(|(known, _)| known == name)?;
        Some(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Entity> for Value {
    fn from(value: Entity) -> Self {
        Self::Entity(value)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::Set(values.into_iter().map(Into::into).collect())
    }
}

/// As policies write it.
impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{:?}", self.kind, self.id)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("true or false"),
            Self::Number => f.write_str("a number"),
            Self::Text => f.write_str("text"),
            Self::Entity(name) => write!(f, "a {name}"),
            Self::Set(kind) => write!(f, "a set of: {kind}"),
        }
    }
}
