use futures_util::future::join_all;
use shop_kernel::UserId;
use stanchion::mail::Mailbox;
use stanchion::messaging::HandlerError;
use stanchion::runtime::{clock, id};
use uuid::Uuid;

use super::texts::{Left, address_left};
use super::{MailKind, Post, later};
use crate::application::Identity;
use crate::application::former_email::FormerEmail;

impl Identity {
    /// Tells of a change all addresses that the user left and that are still held, but for the one that is back. They are told at
    /// once, so that one which is out of reach keeps no other waiting; and each that was told is noted by itself, so that a
    /// repeat of this mail goes to the others alone.
    pub(super) async fn tell_left(
        &self,
        post: &Post,
        user: UserId,
        mail: Uuid,
    ) -> Result<(), HandlerError> {
        let held = self.former_emails.held(&self.db, user, clock::now());
        let held = held.await.map_err(later)?;
        let found = self.users.find_by_id(&self.db, user).await;
        let Some(user) = found.map_err(later)? else {
            return Ok(());
        };
        let mut telling = Vec::new();
        for (place, former) in held.iter().enumerate() {
            if former.wants(mail) && !former.is_of(&user.profile.email) {
                telling.push(self.tell_one(post, former, place == 0, mail));
            }
        }
        join_all(telling).await.into_iter().collect()
    }

    async fn tell_one(
        &self,
        post: &Post,
        former: &FormerEmail,
        is_first: bool,
        mail: Uuid,
    ) -> Result<(), HandlerError> {
        let id = id::derived(&mail, former.email.key().as_bytes());
        match Mailbox::new(former.email.as_str(), None) {
            Ok(to) => {
                let left = match (former.is_proved, is_first) {
                    (false, _) => Left::Unproved,
                    (true, true) => Left::First,
                    (true, false) => Left::Later,
                };
                let letter = address_left(id, to, left);
                post.hand_over(&letter, MailKind::AddressLeft).await?;
            }
            Err(_) => {
                tracing::warn!(mail_id = %id, user_id = %former.user, "a mail is given up: its address is none");
            }
        }
        let noted = self.former_emails.told(&self.db, former, mail).await;
        noted.map_err(later)
    }
}
