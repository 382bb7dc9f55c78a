//! Cedar itself as what decides: the whole language, by its own parser, validator and evaluator.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy as cedar;
use cedar_policy::{Authorizer, Effect, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;
use serde_json::{Map, json};

use super::check::place;
use super::evaluate::roles;
use super::file::{bound, held};
use super::types::{ACTION, ROLE};
use super::value::{PRINCIPALS, USER};
use super::{
    Decision, Entity, FILE_BYTES_MAX, Kind, Policies, PolicyFault, PolicyFaults, PolicyName,
    Question, Reason, Value, Vocabulary,
};

/// Policies that Cedar reads, checks and decides by: the whole language.
///
/// What [`PolicyFile`](super::PolicyFile) takes means the same here. Permissions allow as they do there, and a `forbid` wins
/// over them; one that fails to evaluate forbids. A denial does not tell which condition was missing.
#[derive(Debug, Clone)]
pub struct CedarPolicies {
    words: Vocabulary,
    policies: PolicySet,
    names: BTreeMap<String, PolicyName>,
}

/// A value that Cedar does not take, which the vocabulary's check should have found.
type Untaken = String;

impl CedarPolicies {
    /// Reads a file's text and has Cedar validate it against the vocabulary; `name` is what faults and reasons call it.
    ///
    /// # Errors
    /// What Cedar's parser or validator says, with its place; Cedar's warnings (a policy that can never apply) are faults.
    pub fn parse(name: &str, text: &str, words: &Vocabulary) -> Result<Self, PolicyFaults> {
        let alone = |what: String| PolicyFaults::new(name, vec![placed(text, None, what)]);
        if text.len() > FILE_BYTES_MAX {
            return Err(alone(format!(
                "a policy file has at most {FILE_BYTES_MAX} bytes"
            )));
        }
        let policies = PolicySet::from_str(text).map_err(|errors| {
            let told = errors.iter().map(|error| fault(text, error));
            PolicyFaults::new(name, told.collect())
        })?;
        let schema = Schema::from_json_value(schema(words));
        let schema = schema.map_err(|error| alone(format!("the vocabulary: {error}")))?;
        let checked = Validator::new(schema).validate(&policies, ValidationMode::Strict);
        let errors = checked.validation_errors().map(|error| fault(text, error));
        let warnings = checked
            .validation_warnings()
            .map(|warning| fault(text, warning));
        let faults: Vec<_> = errors.chain(warnings).collect();
        if !faults.is_empty() {
            return Err(PolicyFaults::new(name, faults));
        }
        let file: Arc<str> = name.into();
        let named = policies.policies().map(|policy| {
            let id = policy.id().to_string();
            let name = policy
                .annotation("id")
                .map_or_else(|| id.as_str().into(), Arc::from);
            let named = PolicyName {
                id: name,
                file: Arc::clone(&file),
                line: line(text, policy),
            };
            (id, named)
        });
        Ok(Self {
            names: named.collect(),
            words: words.clone(),
            policies,
        })
    }

    fn name_of(&self, id: &cedar::PolicyId) -> PolicyName {
        let known = self.names.get(&id.to_string()).cloned();
        known.unwrap_or_else(|| PolicyName {
            id: id.to_string().into(),
            file: "".into(),
            line: 0,
        })
    }

    fn forbids(&self, id: &cedar::PolicyId) -> bool {
        let policy = self.policies.policy(id);
        policy.is_none_or(|policy| policy.effect() == Effect::Forbid)
    }

    fn ask(&self, question: &Question<'_>) -> Result<Decision, Untaken> {
        let (request, entities) = asked(question)?;
        let response = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        let mut errors = response.diagnostics().errors();
        if let Some(error) = errors.find(|error| self.forbids(error_policy(error))) {
            return Err(error.to_string());
        }
        let reasons: Vec<_> = response.diagnostics().reason().collect();
        let forbids: Vec<_> = reasons.iter().filter(|id| self.forbids(id)).collect();
        if !forbids.is_empty() {
            let told = forbids.iter().map(|id| Reason::Forbids(self.name_of(id)));
            return Ok(Decision::denied(told.collect()));
        }
        if let Some(held) = held(question) {
            return Ok(Decision::allowed(held));
        }
        Ok(match (response.decision(), reasons.first()) {
            (cedar::Decision::Allow, Some(id)) => {
                Decision::allowed(Reason::Permits(self.name_of(id)))
            }
            _ => Decision::denied(vec![Reason::Lacks(question.action.to_owned())]),
        })
    }
}

impl Policies for CedarPolicies {
    fn decide(&self, question: &Question<'_>) -> Decision {
        if let Some(what) = self.words.misfit(question) {
            return Decision::denied(vec![Reason::Misfit(what)]);
        }
        bound(question, |question| {
            let asked = self.ask(question);
            asked.unwrap_or_else(|what| Decision::denied(vec![Reason::Misfit(what)]))
        })
    }
}

fn error_policy(error: &cedar::AuthorizationError) -> &cedar::PolicyId {
    match error {
        cedar::AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
    }
}

/// The question in Cedar's terms.
fn asked(question: &Question<'_>) -> Result<(cedar::Request, cedar::Entities), Untaken> {
    let principal = question.principal;
    let who = uid(&Entity::of(principal))?;
    let held = roles(principal).map(|role| uid(&Entity::new(ROLE, role)));
    let roles = held.collect::<Result<HashSet<_>, _>>()?;
    let mut known = HashMap::new();
    if let Some(user) = principal.on_behalf_of {
        known.insert(
            "on_behalf_of".to_owned(),
            value(&Entity::user(user).into())?,
        );
    }
    let caller = cedar::Entity::new(who.clone(), known, roles).map_err(text)?;
    let object = uid(question.resource.entity())?;
    let mut attributes = HashMap::new();
    for (name, given) in question.resource.attributes.iter().rev() {
        attributes.insert(name.clone().into_owned(), value(given)?);
    }
    let resource = cedar::Entity::new(object.clone(), attributes, HashSet::new()).map_err(text)?;
    let entities = cedar::Entities::from_entities([caller, resource], None).map_err(text)?;
    let action = uid(&Entity::new(ACTION, question.action))?;
    let context = cedar::Context::empty();
    let request = cedar::Request::new(who, action, object, context, None).map_err(text)?;
    Ok((request, entities))
}

fn uid(entity: &Entity) -> Result<cedar::EntityUid, Untaken> {
    let kind = cedar::EntityTypeName::from_str(entity.kind()).map_err(text)?;
    let id = cedar::EntityId::new(entity.id());
    Ok(cedar::EntityUid::from_type_name_and_id(kind, id))
}

fn value(value: &Value) -> Result<cedar::RestrictedExpression, Untaken> {
    Ok(match value {
        Value::Bool(value) => cedar::RestrictedExpression::new_bool(*value),
        Value::Number(value) => cedar::RestrictedExpression::new_long(*value),
        Value::Text(text) => cedar::RestrictedExpression::new_string(text.clone()),
        Value::Entity(entity) => cedar::RestrictedExpression::new_entity_uid(uid(entity)?),
        Value::Set(values) => {
            let values = values.iter().map(self::value);
            cedar::RestrictedExpression::new_set(values.collect::<Result<Vec<_>, _>>()?)
        }
    })
}

/// The vocabulary as a Cedar schema.
fn schema(words: &Vocabulary) -> serde_json::Value {
    let mut types = Map::new();
    types.insert(ROLE.to_owned(), json!({}));
    for (name, attributes) in &words.types {
        let known = attributes.iter().map(|(name, attribute)| {
            let mut described = kind(&attribute.kind);
            described["required"] = (!attribute.optional).into();
            (name.clone(), described)
        });
        let known: Map<_, _> = known.collect();
        let mut described = json!({"shape": {"type": "Record", "attributes": known}});
        if name == USER {
            described["memberOfTypes"] = json!([ROLE]);
        }
        types.insert(name.clone(), described);
    }
    let actions = words.actions.iter().map(|(name, types)| {
        let applies = json!({"principalTypes": PRINCIPALS, "resourceTypes": types});
        (name.clone(), json!({"appliesTo": applies}))
    });
    let actions: Map<_, _> = actions.collect();
    json!({"": {"entityTypes": types, "actions": actions}})
}

fn kind(kind: &Kind) -> serde_json::Value {
    match kind {
        Kind::Bool => json!({"type": "Boolean"}),
        Kind::Number => json!({"type": "Long"}),
        Kind::Text => json!({"type": "String"}),
        Kind::Entity(name) => json!({"type": "Entity", "name": name}),
        Kind::Set(element) => json!({"type": "Set", "element": self::kind(element)}),
    }
}

/// Where a policy of Cedar's begins, by its own text.
fn line(text: &str, policy: &cedar::Policy) -> usize {
    let written = policy.to_string();
    text.find(written.trim()).map_or(0, |at| place(text, at).0)
}

fn fault(text: &str, error: &(impl Diagnostic + ?Sized)) -> PolicyFault {
    let at = error.labels().and_then(|mut labels| labels.next());
    placed(text, at.map(|label| label.offset()), error.to_string())
}

fn placed(text: &str, at: Option<usize>, what: String) -> PolicyFault {
    let (line, column) = place(text, at.unwrap_or_default());
    PolicyFault { line, column, what }
}

fn text(error: impl std::fmt::Display) -> Untaken {
    error.to_string()
}
