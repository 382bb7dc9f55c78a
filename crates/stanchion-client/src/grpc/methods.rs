//! What a method is, as its descriptor has it.

use std::collections::HashMap;

use prost::Message;
use prost_types::FileDescriptorSet;
use prost_types::method_options::IdempotencyLevel;

use crate::{Effect, SetupError};

/// Methods by their paths.
#[derive(Debug, Clone, Default)]
pub(super) struct Methods(HashMap<String, Method>);

/// One method; what is not known is a stream with an effect of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) sends_stream: bool,
    pub(super) answers_stream: bool,
    /// What its option says of a repeat.
    pub(super) effect: Option<Effect>,
    pub(super) known: bool,
}

impl Methods {
    pub(super) fn add(&mut self, descriptors: &[u8]) -> Result<(), SetupError> {
        let set = FileDescriptorSet::decode(descriptors);
        let set = set.map_err(|error| SetupError::Descriptors(error.to_string()))?;
        for file in &set.file {
            for service in &file.service {
                let name = match file.package() {
                    "" => service.name().to_owned(),
                    package => format!("{package}.{}", service.name()),
                };
                let methods = service.method.iter().map(|method| {
                    let path = format!("/{name}/{}", method.name());
                    let level = method.options.as_ref();
                    let level = level.map(prost_types::MethodOptions::idempotency_level);
                    let described = Method {
                        sends_stream: method.client_streaming(),
                        answers_stream: method.server_streaming(),
                        effect: level.and_then(effect),
                        known: true,
                    };
                    (path, described)
                });
                self.0.extend(methods);
            }
        }
        Ok(())
    }

    pub(super) fn of(&self, path: &str) -> Method {
        self.0.get(path).copied().unwrap_or(Method {
            sends_stream: true,
            answers_stream: true,
            effect: None,
            known: false,
        })
    }
}

fn effect(level: IdempotencyLevel) -> Option<Effect> {
    match level {
        IdempotencyLevel::NoSideEffects => Some(Effect::Read),
        IdempotencyLevel::Idempotent => Some(Effect::Repeatable),
        IdempotencyLevel::IdempotencyUnknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_method_is_comes_from_its_descriptor() {
        let mut methods = Methods::default();
        methods.add(tonic_health::pb::FILE_DESCRIPTOR_SET).unwrap();
        let check = methods.of("/grpc.health.v1.Health/Check");
        assert!(check.known && !check.sends_stream && !check.answers_stream);
        assert!(methods.of("/grpc.health.v1.Health/Watch").answers_stream);
        let unknown = methods.of("/grpc.health.v1.Health/Else");
        assert!(!unknown.known && unknown.answers_stream && unknown.effect.is_none());
        assert!(methods.add(b"nonsense").is_err());
    }
}
