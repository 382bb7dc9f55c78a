//! `UpdateUser`: which fields of a profile change, and into what.

use serde_json::Value;
use shop_contracts::grpc::user::v1 as pb;
use stanchion::server::{Body, Problem};

use crate::adapters::http::views::ProfileBody;
use crate::domain::Profile;

/// Fields with what they become; one that becomes nothing is removed.
pub(super) struct Changes(Vec<(&'static str, Option<String>)>);

impl Changes {
    /// The fields of the mask, or those that are set if it names none.
    ///
    /// # Errors
    /// 422 for a mask that names what is no field of a profile.
    pub(super) fn of(asked: pb::UpdateUserRequest) -> Result<Self, Problem> {
        let fields = [
            ("email", asked.email),
            ("username", asked.username),
            ("first_name", asked.first_name),
            ("last_name", asked.last_name),
        ];
        let named = asked.update_mask.unwrap_or_default().paths;
        let known = |path: &String| fields.iter().any(|(name, _)| name == path);
        if !named.iter().all(known) {
            let reason = "must name email, username, first_name or last_name only";
            return Err(Problem::invalid_field("update_mask", reason));
        }
        let changes = fields.into_iter().filter(|(name, value)| {
            if named.is_empty() {
                value.is_some()
            } else {
                named.iter().any(|path| path == name)
            }
        });
        Ok(Self(changes.collect()))
    }

    /// The profile that `now` becomes, by the rules of REST's body.
    ///
    /// # Errors
    /// 422 for one that breaks them.
    pub(super) fn apply(&self, now: &Profile) -> Result<Profile, Problem> {
        let now = serde_json::to_value(ProfileBody::from(now));
        let mut content = now.map_err(Problem::internal)?;
        if let Value::Object(fields) = &mut content {
            for (name, value) in &self.0 {
                match value {
                    Some(text) => fields.insert((*name).to_owned(), text.as_str().into()),
                    None => fields.remove(*name),
                };
            }
        }
        let Body(body) = Body::<ProfileBody>::of(content)?;
        body.profile()
    }
}
