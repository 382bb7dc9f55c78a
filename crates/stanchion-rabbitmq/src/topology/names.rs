//! What things are called in the broker.

use crate::RabbitMqSettings;

/// The names under one prefix.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
}

impl Names {
    pub(crate) fn new(settings: &RabbitMqSettings) -> Self {
        let prefix = settings.prefix.clone();
        Self { prefix }
    }

    pub(crate) fn messages(&self) -> String {
        format!("{}.messages", self.prefix)
    }

    pub(crate) fn dead(&self) -> String {
        format!("{}.dead", self.prefix)
    }

    pub(super) fn declaring(&self, of: &str) -> String {
        format!("{}.{of}.declaring", self.prefix)
    }

    pub(crate) fn store(&self) -> String {
        format!("{}.store", self.prefix)
    }

    pub(crate) fn members(&self, group: &str) -> String {
        format!("{}.{group}.members", self.prefix)
    }

    pub(crate) fn complete(&self, group: &str) -> String {
        format!("{}.{group}.complete", self.prefix)
    }

    pub(crate) fn queue(&self, group: &str, partition: u16) -> String {
        format!("{}.{group}.{partition:02}", self.prefix)
    }
}
