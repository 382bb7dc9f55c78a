use std::collections::{BTreeMap, BTreeSet};

use super::value::{CLIENT, SERVICE, USER};
use super::{Kind, Question, Resource};
use crate::{Permission, Permissions, Roles};

/// What policies can speak of: types with their attributes, actions with the types they are asked about, roles.
///
/// The application says it once, in code, beside what asks; a file that speaks of anything else does not load. There are
/// always the principals `User`, `Client` (an OAuth client that acts for itself), and `Service` with the optional attribute
/// `on_behalf_of`, a `User`.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    pub(crate) types: BTreeMap<String, Attributes>,
    /// The types that each action is asked about.
    pub(crate) actions: BTreeMap<String, BTreeSet<String>>,
    pub(crate) roles: Roles,
}

/// The attributes of a type.
pub(crate) type Attributes = BTreeMap<String, Attribute>;

/// What is known of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) kind: Kind,
    /// A policy asks `has` before it looks at it.
    pub(crate) optional: bool,
}

impl Vocabulary {
    /// Principals, and nothing else yet.
    #[must_use]
    pub fn new() -> Self {
        let on_behalf_of = Attribute {
            kind: Kind::entity(USER),
            optional: true,
        };
        let service = Attributes::from([("on_behalf_of".to_owned(), on_behalf_of)]);
        let types = [
            (USER.to_owned(), Attributes::new()),
            (SERVICE.to_owned(), service),
            (CLIENT.to_owned(), Attributes::new()),
        ];
        Self {
            types: BTreeMap::from(types),
            actions: BTreeMap::new(),
            roles: Roles::default(),
        }
    }

    /// The roles that users can have.
    #[must_use]
    pub fn roles(mut self, roles: &Roles) -> Self {
        self.roles = roles.clone();
        self
    }

    /// A type of objects with the attributes that each of them has.
    ///
    /// # Panics
    /// The type is there already: a mistake in the code.
    #[must_use]
    pub fn resource(
        mut self,
        name: &str,
        attributes: impl IntoIterator<Item = (&'static str, Kind)>,
    ) -> Self {
        let known = |(name, kind): (&str, Kind)| {
            let attribute = Attribute {
                kind,
                optional: false,
            };
            (name.to_owned(), attribute)
        };
        let attributes = attributes.into_iter().map(known).collect();
        let before = self.types.insert(name.to_owned(), attributes);
        assert!(before.is_none(), "the type {name} is described twice");
        self
    }

    /// An attribute that not every object of the type has.
    ///
    /// # Panics
    /// The type is not described: a mistake in the code.
    #[must_use]
    pub fn optional(mut self, of: &str, name: &str, kind: Kind) -> Self {
        let Some(attributes) = self.types.get_mut(of) else {
            panic!("{name}: there is no type {of}");
        };
        let attribute = Attribute {
            kind,
            optional: true,
        };
        attributes.insert(name.to_owned(), attribute);
        self
    }

    /// An action, by the permission that allows it on every object, and the types it is asked about.
    ///
    /// # Panics
    /// A type is not described: a mistake in the code.
    #[must_use]
    pub fn action<P: Permission>(mut self, on: impl IntoIterator<Item = &'static str>) -> Self {
        let types = self.actions.entry(P::NAME.to_owned()).or_default();
        for name in on {
            let known = self.types.contains_key(name);
            assert!(known, "{}: there is no type {name}", P::NAME);
            types.insert(name.to_owned());
        }
        self
    }

    /// This and that, such as the words of two modules; roles of either.
    ///
    /// # Panics
    /// Both describe the same type, differently: a mistake in the code.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (name, attributes) in other.types {
            let before = self.types.insert(name.clone(), attributes.clone());
            let same = before.is_none_or(|before| before == attributes);
            assert!(same, "the type {name} is described in two ways");
        }
        for (name, types) in other.actions {
            self.actions.entry(name).or_default().extend(types);
        }
        if self.roles.names().next().is_none() {
            self.roles = other.roles;
        }
        self
    }

    /// The actions, in alphabetical order.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.actions.keys().map(String::as_str)
    }

    /// The types that the action is asked about.
    pub fn types_of(&self, action: &str) -> impl Iterator<Item = &str> {
        let types = self.actions.get(action).into_iter().flatten();
        types.map(String::as_str)
    }

    /// The attributes of a type with what each holds, and whether each object has it.
    pub fn attributes(&self, of: &str) -> impl Iterator<Item = (&str, &Kind, bool)> {
        let attributes = self.types.get(of).into_iter().flatten();
        attributes.map(|(name, known)| (name.as_str(), &known.kind, !known.optional))
    }

    /// What a role permits; `None` if there is no such role.
    #[must_use]
    pub fn permissions_of(&self, role: &str) -> Option<Permissions> {
        let known = self.roles.contains(role);
        known.then(|| self.roles.permissions_of([role]))
    }

    /// The roles that hold a permission, in alphabetical order.
    pub fn roles_with(&self, permission: &str) -> impl Iterator<Item = &str> {
        let holds = move |role: &&str| self.roles.permissions_of([role]).allows(permission);
        self.roles.names().filter(holds)
    }

    /// What is wrong with the question, if anything is.
    pub(crate) fn misfit(&self, question: &Question<'_>) -> Option<String> {
        let Resource { entity, attributes } = question.resource;
        let (action, kind) = (question.action, entity.kind());
        let Some(types) = self.actions.get(action) else {
            return Some(format!("there is no action {action:?}"));
        };
        if !types.contains(kind) {
            return Some(format!("{action} is not asked about a {kind}"));
        }
        let known = self.types.get(kind)?;
        let missing = known.iter().find(|(name, attribute)| {
            let lacks = question.resource.get(name).is_none();
            lacks && !attribute.optional
        });
        if let Some((name, attribute)) = missing {
            return Some(format!("{entity} lacks {name}, {}", attribute.kind));
        }
        attributes.iter().find_map(|(name, value)| {
            let Some(attribute) = known.get(&**name) else {
                return Some(format!("a {kind} has no {name}"));
            };
            let fits = value.is(&attribute.kind);
            (!fits).then(|| format!("{entity}: {name} is not {}", attribute.kind))
        })
    }
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self::new()
    }
}
