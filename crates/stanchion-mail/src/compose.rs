//! A mail as it stands in a file and on the wire (RFC 5322).

use std::time::SystemTime;

use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use stanchion_runtime::clock;

use crate::{Mail, MailError, Mailbox};

/// No out-of-office note answers a mail that says so (RFC 3834, 5).
const AUTOMATIC: (&str, &str) = ("Auto-Submitted", "auto-generated");

/// The longest subject, in characters; RFC 5322 has no line longer than 998.
const SUBJECT_CHARACTERS_MAX: usize = 200;

/// The longest text, in bytes.
const TEXT_BYTES_MAX: usize = 1024 * 1024;

pub(crate) fn compose(mail: &Mail, from: &Mailbox) -> Result<Message, MailError> {
    let subject = &mail.subject;
    let one_line = !subject.chars().any(char::is_control);
    if !one_line || subject.chars().count() > SUBJECT_CHARACTERS_MAX {
        return Err(refused("its subject is no line of at most 200 characters"));
    }
    if mail.text.len() > TEXT_BYTES_MAX {
        return Err(refused("its text is larger than 1 MiB"));
    }
    let automatic = HeaderName::new_from_ascii_str(AUTOMATIC.0);
    Message::builder()
        .from(from.as_lettre())
        .to(mail.to.as_lettre())
        .subject(subject.as_str())
        .message_id(Some(format!("<{}@{}>", mail.id, from.domain())))
        .date(SystemTime::from(clock::now()))
        .raw_header(HeaderValue::new(automatic, AUTOMATIC.1.to_owned()))
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text.clone())
        // Its words may repeat what it was given.
        .map_err(|_| refused("it cannot be written down"))
}

fn refused(why: &str) -> MailError {
    MailError::Refused(why.to_owned())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn mail() -> Mail {
        Mail {
            id: Uuid::nil(),
            to: Mailbox::new("ada@example.com", Some("Ada, \"the\" Countess")).unwrap(),
            subject: "Grüße".into(),
            text: "First line.\n.\nA dot alone above; a long line follows.\n".into(),
        }
    }

    fn written(mail: &Mail) -> Result<String, MailError> {
        let from = "Shop <no-reply@shop.example>".parse().unwrap();
        let message = compose(mail, &from)?;
        Ok(String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn a_mail_has_what_a_mail_has() {
        let text = written(&mail()).unwrap();
        for header in [
            "From: Shop <no-reply@shop.example>\r\n",
            // What is no plain word is encoded.
            "To: =?utf-8?b?QWRhLCAidGhlIiBDb3VudGVzcw==?= <ada@example.com>\r\n",
            "Message-ID: <00000000-0000-0000-0000-000000000000@shop.example>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Content-Type: text/plain; charset=utf-8\r\n",
            "Subject: =?utf-8?b?",
            "Date: ",
        ] {
            assert!(text.contains(header), "{header} is not in\n{text}");
        }
    }

    #[test]
    fn a_subject_begins_no_header() {
        for subject in [
            "a\r\nBcc: eve@example.com",
            "a\nb",
            "a\rb",
            "a\0",
            &"a".repeat(201),
        ] {
            let mail = Mail {
                subject: subject.to_owned(),
                ..mail()
            };
            let outcome = written(&mail);
            assert!(matches!(outcome, Err(MailError::Refused(_))), "{subject:?}");
        }
    }

    #[test]
    fn whatever_a_text_says_it_stays_in_the_body() {
        let mail = Mail {
            text: "Bcc: eve@example.com\r\n\r\n.\r\nMAIL FROM:<eve@example.com>".into(),
            ..mail()
        };
        let text = written(&mail).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("eve@"), "{head}");
    }
}
