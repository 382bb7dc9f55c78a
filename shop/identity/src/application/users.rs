use shop_kernel::UserId;

use super::ports::{UserList, UserPage};
use super::{Failure, Identity, Refusal};
use crate::domain::User;

impl Identity {
    pub(crate) async fn user(&self, id: UserId) -> Result<User, Failure> {
        let found = self.users.find_by_id(&self.db, id).await?;
        Ok(found.ok_or(Refusal::UserNotFound)?)
    }

    pub(crate) async fn list_users(&self, list: &UserList) -> Result<UserPage, Failure> {
        self.users.list(&self.db, list).await
    }
}
