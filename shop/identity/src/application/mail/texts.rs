//! What mails say. Nothing that a user has typed is in them: whoever registers with another's address chooses no word
//! of what that one reads.

use stanchion::auth::one_time::OneTimeToken;
use stanchion::mail::{Mail, Mailbox};
use uuid::Uuid;

use super::MailPages;
use crate::application::former_email::HELD_FOR;
use crate::application::one_time::Purpose;

/// An address that a user left, by what it may still do.
#[derive(Clone, Copy)]
pub(super) enum Left {
    /// It sets a new password.
    First,
    /// It does once those that were left before it are held no more.
    Later,
    /// It does not.
    Unproved,
}

pub(super) fn verification(
    id: Uuid,
    to: Mailbox,
    token: &OneTimeToken,
    pages: &MailPages,
    is_back: bool,
) -> Mail {
    let way = way(token, pages.verification.as_deref());
    let why = if is_back {
        "your account has this address again. Once it is confirmed, no address that the account had since sets a new\n\
         password, so "
    } else {
        ""
    };
    let life = Purpose::Verification.life().as_mins();
    Mail {
        id,
        to,
        subject: "Confirm your e-mail address".into(),
        text: format!(
            "Hello,\n\n{why}please confirm that this address is yours:\n\n{way}\n\n\
             This works once, within {life} minutes. If you did not register, ignore this mail: without a\n\
             confirmation the address counts as nobody's.\n"
        ),
    }
}

pub(super) fn reset(id: Uuid, to: Mailbox, token: &OneTimeToken, pages: &MailPages) -> Mail {
    let way = way(token, pages.reset.as_deref());
    let life = Purpose::Reset.life().as_mins();
    Mail {
        id,
        to,
        subject: "Choose a new password".into(),
        text: format!(
            "Hello,\n\nsomebody, hopefully you, wants a new password for the account of this address:\n\n{way}\n\n\
             This works once, within {life} minutes, and logs every device out. If it was not you, ignore this\n\
             mail: nothing has changed, and your password is not known to whoever asked.\n"
        ),
    }
}

pub(super) fn reset_done(id: Uuid, to: Mailbox) -> Mail {
    Mail {
        id,
        to,
        subject: "Your password was changed".into(),
        text: "Hello,\n\nthe password of your account was changed by a mail to this address, and every device was \
               logged out.\nIf it was not you, somebody reads your mail: change that password first, then ask for a \
               new one here.\n"
            .into(),
    }
}

pub(super) fn address_left(id: Uuid, to: Mailbox, left: Left) -> Mail {
    let days = HELD_FOR.as_hours() / 24;
    let otherwise = match left {
        Left::First => format!(
            "If it was not you, ask for a new password with this address, within {days} days: that logs every device out,\n\
             and the account has this address again. Nobody sets a password by the other one before."
        ),
        Left::Later => format!(
            "If it was not you, ask for a new password with the address that the account had before this one: that counts\n\
             for {days} days after it was left. Then this one does, if it was left less than {days} days ago. Or log in with your\n\
             username and your password, put this address back, log out everywhere, and confirm this address."
        ),
        Left::Unproved => {
            "If it was not you, log in with your username and your password, put this address back, log out everywhere,\n\
             and confirm this address."
                .into()
        }
    };
    Mail {
        id,
        to,
        subject: "Your e-mail address was changed".into(),
        text: format!(
            "Hello,\n\nyour account has another e-mail address now. If it was you, ignore this mail.\n\n{otherwise}\n"
        ),
    }
}

fn way(token: &OneTimeToken, page: Option<&str>) -> String {
    match page {
        Some(page) => format!("    {}", page.replace("{token}", token.expose())),
        None => format!("Your code: {}", token.expose()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to() -> Mailbox {
        "ada@example.com".parse().unwrap()
    }

    #[test]
    fn a_link_holds_the_token_where_the_page_wants_it() {
        let pages = MailPages {
            verification: Some("https://shop.example/verify#token={token}".into()),
            reset: None,
        };
        let token = OneTimeToken::generate();
        let mail = verification(Uuid::nil(), to(), &token, &pages, false);
        let link = format!(
            "\n    https://shop.example/verify#token={}\n",
            token.expose()
        );
        assert!(mail.text.contains(&link), "{}", mail.text);
        let mail = reset(Uuid::nil(), to(), &token, &pages);
        let code = format!("\nYour code: {}\n", token.expose());
        assert!(
            mail.text.contains(&code) && mail.text.contains("30 minutes"),
            "{}",
            mail.text
        );
    }

    #[test]
    fn lines_are_short_enough_to_be_read_anywhere() {
        let token = OneTimeToken::generate();
        let pages = MailPages::default();
        for mail in [
            verification(Uuid::nil(), to(), &token, &pages, false),
            verification(Uuid::nil(), to(), &token, &pages, true),
            reset(Uuid::nil(), to(), &token, &pages),
            reset_done(Uuid::nil(), to()),
            address_left(Uuid::nil(), to(), Left::First),
            address_left(Uuid::nil(), to(), Left::Later),
            address_left(Uuid::nil(), to(), Left::Unproved),
        ] {
            for line in mail.text.lines() {
                assert!(line.len() <= 120, "{line}");
            }
        }
    }
}
