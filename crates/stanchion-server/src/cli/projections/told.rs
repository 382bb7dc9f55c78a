use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Known;
use crate::cli::running::{self, NoAnswer};
use crate::service::AdminSettings;
use crate::{Service, Stopped};

/// What a running service tells of its projections.
pub(super) enum Told<'a> {
    /// It runs, and these are its rows.
    Running {
        admin: &'a AdminSettings,
        rows: Vec<Value>,
    },
    /// Why nobody tells anything.
    Nobody(String),
}

impl<'a> Told<'a> {
    pub(super) async fn by(service: &'a Service) -> Result<Self, Stopped> {
        let Some(admin) = &service.admin else {
            let none = "there is no admin port to ask a running service at";
            return Ok(Self::Nobody(none.into()));
        };
        match running::ask(admin, Method::GET, &["projections"]).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                let rows = answer.body["data"].as_array().cloned();
                let rows = rows.unwrap_or_default();
                Ok(Self::Running { admin, rows })
            }
            Ok(answer) => Ok(Self::Nobody(format!(
                "what answers on {} knows nothing of projections ({})",
                admin.listen, answer.status
            ))),
            Err(NoAnswer::Nobody(why)) => Ok(Self::Nobody(why)),
            Err(NoAnswer::Failed(why)) => Err(Stopped::Failed(why)),
        }
    }

    /// What it tells of this projection; nothing if that one is made of another log, or there is none.
    pub(super) fn row(&self, known: &Known<'_>) -> Option<&Value> {
        let Self::Running { rows, .. } = self else {
            return None;
        };
        let (module, name) = (known.module, known.projection.name());
        let row = rows
            .iter()
            .find(|row| row["module"] == module && row["name"] == name)?;
        // A row without a log is one whose store is out: that its service may say better than anybody.
        let same = |log| row.get("log").is_none_or(|told| *told == json!(log));
        known.log.is_none_or(same).then_some(row)
    }

    /// The service that has this projection.
    pub(super) fn service(&self, known: &Known<'_>) -> Option<&'a AdminSettings> {
        match self {
            Self::Running { admin, .. } if self.row(known).is_some() => Some(admin),
            _ => None,
        }
    }

    /// Why that is nobody.
    pub(super) fn why_not(&self, known: &Known<'_>) -> String {
        match self {
            Self::Running { admin, .. } => format!(
                "the service on {} has no {known} over this log",
                admin.listen
            ),
            Self::Nobody(why) => why.clone(),
        }
    }
}
