use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The longest address, in bytes (RFC 5321, 4.5.3.1.3, without its angle brackets).
const ADDRESS_BYTES_MAX: usize = 254;

/// The longest name beside an address, in characters.
const NAME_CHARACTERS_MAX: usize = 200;

/// What is sent: plain text, to one mailbox.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The same for every repeat of one mail: its `Message-ID`.
    pub id: Uuid,
    /// Who gets it.
    pub to: Mailbox,
    /// One line; a control character in it, such as a line break, refuses the mail.
    pub subject: String,
    /// The text, with any kind of line ends.
    pub text: String,
}

/// An address, and the name of whom it belongs to.
///
/// A control character, such as a line break, refuses it: nothing that a client typed begins a header of its own.
/// `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox(lettre::message::Mailbox);

/// A text that is no mailbox; it is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a mailbox is an e-mail address, or `Name <address>`, without control characters")]
pub struct NotAMailbox;

impl Mailbox {
    /// The mailbox of that address and name. A name of blanks is none.
    ///
    /// # Errors
    /// [`NotAMailbox`]: a control character in either, no address, or one of them too long.
    pub fn new(address: &str, name: Option<&str>) -> Result<Self, NotAMailbox> {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        let plain = |text: &str| !text.chars().any(char::is_control);
        let fits = address.len() <= ADDRESS_BYTES_MAX
            && plain(address)
            && name.is_none_or(|name| plain(name) && name.chars().count() <= NAME_CHARACTERS_MAX);
        if !fits {
            return Err(NotAMailbox);
        }
        let address = address.parse().map_err(|_| NotAMailbox)?;
        let name = name.map(str::to_owned);
        Ok(Self(lettre::message::Mailbox::new(name, address)))
    }

    pub(crate) fn as_lettre(&self) -> lettre::message::Mailbox {
        self.0.clone()
    }

    pub(crate) fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

/// `address`, or `Name <address>`: for settings.
impl FromStr for Mailbox {
    type Err = NotAMailbox;

    fn from_str(text: &str) -> Result<Self, NotAMailbox> {
        let text = text.trim();
        let named = text
            .strip_suffix('>')
            .and_then(|text| text.rsplit_once('<'));
        match named {
            Some((name, address)) => Self::new(address, Some(name)),
            None => Self::new(text, None),
        }
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Mailbox(***)")
    }
}

/// The id alone: subject and text are personal, and a text may hold a token.
impl fmt::Debug for Mail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Mail({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_an_address_with_or_without_a_name() {
        for text in [
            "ada@example.com",
            "Ada <ada@example.com>",
            "Ada, Countess of Lovelace <ada@example.com>",
            "Ädä <ädä@example.com>",
            " <ada@localhost> ",
            "Ada <3 <ada@example.com>",
        ] {
            assert!(text.parse::<Mailbox>().is_ok(), "{text}");
        }
    }

    #[test]
    fn nothing_in_a_name_or_an_address_begins_a_header() {
        for (address, name) in [
            ("ada@example.com\r\nBcc: eve@example.com", None),
            ("ada@example.com\nBcc: eve@example.com", None),
            ("ada@example.com>\r\nRCPT TO:<eve@example.com", None),
            ("ada@example.com", Some("Ada\r\nBcc: eve@example.com")),
            ("ada@example.com", Some("Ada\nBcc: eve@example.com")),
            ("ada@example.com", Some("Ada\rBcc: eve@example.com")),
            ("ada@example.com", Some("Ada\0")),
            ("ada@example.com", Some("Ada\u{85}Bcc: eve@example.com")),
            ("ada\0@example.com", None),
            ("ada@example.com, eve@example.com", None),
            ("ada@example.com eve@example.com", None),
            ("", None),
            ("ada", None),
            ("@example.com", None),
            (&format!("{}@example.com", "a".repeat(300)), None),
            ("ada@example.com", Some(&"a".repeat(201))),
        ] {
            assert_eq!(
                Mailbox::new(address, name),
                Err(NotAMailbox),
                "{address:?} {name:?}"
            );
        }
    }

    #[test]
    fn a_mail_does_not_print_itself() {
        let mail = Mail {
            id: Uuid::nil(),
            to: "Ada <ada@example.com>".parse().unwrap(),
            subject: "canary".into(),
            text: "canary".into(),
        };
        let shown = format!("{mail:?} {:?} {NotAMailbox}", mail.to);
        assert!(
            !shown.contains("canary") && !shown.contains("ada"),
            "{shown}"
        );
    }
}
