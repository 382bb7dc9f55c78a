use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;
use stanchion_config::PemFile;
use tokio::time::timeout;

use crate::compose::compose;
use crate::settings::{MailSettings, SetupError};
use crate::{Mail, MailError, Mailbox, Mailer};

/// Where servers take mails from programs, with STARTTLS (RFC 6409).
const PORT_STARTTLS: u16 = 587;

/// The same with TLS from the first byte (RFC 8314).
const PORT_TLS: u16 = 465;

/// Where a relay of this machine listens.
const PORT_PLAIN: u16 = 25;

/// What a server says that will say the same of that mail again: something is wrong with the address, or its mailbox is
/// closed (RFC 3463, 3.2 and 3.3). A bare `550` is no such thing: servers say it to whoever is on a list of theirs, too.
const REFUSALS: [&str; 2] = ["5.1.", "5.2.1"];

/// Hands mails over to an SMTP server: a connection a mail, with TLS unless it stays on this machine.
///
/// No certificate is believed that the roots do not vouch for, and without TLS nothing is said but `EHLO`.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    bound: Duration,
}

/// How a connection is protected.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    StartTls,
    Tls,
    Plain,
}

/// Where a URL points.
struct Place<'a> {
    way: Way,
    host: &'a str,
    port: u16,
}

impl SmtpMailer {
    /// To the server of that URL, from that mailbox; user, password, roots and the bound are those of the settings. No
    /// connection is made.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn new(url: &str, settings: &MailSettings, from: Mailbox) -> Result<Self, SetupError> {
        let place = place(url)?;
        let tls = match place.way {
            Way::StartTls => Tls::Required(parameters(place.host, settings.tls_roots.as_deref())?),
            Way::Tls => Tls::Wrapper(parameters(place.host, settings.tls_roots.as_deref())?),
            Way::Plain => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(place.host)
            .port(place.port)
            .timeout(Some(settings.timeout))
            .tls(tls);
        match (&settings.user, &settings.password) {
            (None, None) => {}
            (Some(user), Some(password)) => {
                let password = password.expose_secret().to_owned();
                builder = builder.credentials(Credentials::new(user.clone(), password));
            }
            _ => return Err(SetupError::Credentials),
        }
        Ok(Self {
            transport: builder.build(),
            from,
            bound: settings.timeout,
        })
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = compose(mail, &self.from)?;
        // The library bounds the connecting alone: a server that says nothing would hold us for ever.
        let sent = timeout(self.bound, self.transport.send(message)).await;
        let late =
            |_| MailError::Unavailable(format!("the server took longer than {:?}", self.bound));
        sent.map_err(late)?.map(drop).map_err(|error| told(&error))
    }
}

/// What came of it, without the server's own words: those repeat addresses.
fn told(error: &Error) -> MailError {
    match error.status() {
        Some(code) => {
            let (code, enhanced) = (u16::from(code), enhanced(error));
            let refuses = REFUSALS.iter().any(|begin| enhanced.starts_with(begin));
            let said = format!("the server said {code} {enhanced}");
            let said = said.trim_end().to_owned();
            match refuses {
                true => MailError::Refused(said),
                false => MailError::Unavailable(said),
            }
        }
        None => MailError::Unavailable(kind(error).to_owned()),
    }
}

fn kind(error: &Error) -> &'static str {
    if error.is_timeout() {
        "the server did not answer in time"
    } else if error.is_tls() {
        "TLS did not come about"
    } else if error.is_response() {
        "the server said what SMTP does not know"
    } else if error.is_client() {
        "the server lacks what the mail needs, such as STARTTLS, AUTH or SMTPUTF8"
    } else {
        "the connection failed"
    }
}

/// The three numbers that may begin what a server says (RFC 2034); empty without them.
fn enhanced(error: &Error) -> String {
    let said = std::error::Error::source(error).map(ToString::to_string);
    let first = said
        .as_deref()
        .and_then(|said| said.split_whitespace().next());
    let numbers = |word: &&str| {
        let fits =
            |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        word.split('.').count() == 3 && word.split('.').all(fits)
    };
    first.filter(numbers).unwrap_or_default().to_owned()
}

fn parameters(host: &str, roots: Option<&Path>) -> Result<TlsParameters, SetupError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = roots {
        let file = PemFile::read("mail.tls_roots", path)?;
        // The machine's own list would let any public authority vouch for a server that one's own vouches for.
        builder = builder.certificate_store(CertificateStore::None);
        for root in file.certificates()? {
            let root = Certificate::from_der(root.to_vec());
            let root = root.map_err(|error| file.wrong(&error))?;
            builder = builder.add_root_certificate(root);
        }
    }
    builder
        .build_rustls()
        .map_err(|error| SetupError::Tls(error.to_string()))
}

fn place(url: &str) -> Result<Place<'_>, SetupError> {
    let no = |why| Err(SetupError::Url(why));
    let Some((scheme, rest)) = url.split_once("://") else {
        return no("it has no scheme");
    };
    let (way, usual) = match scheme {
        "smtp" => (Way::StartTls, PORT_STARTTLS),
        "smtps" => (Way::Tls, PORT_TLS),
        "smtp+plain" => (Way::Plain, PORT_PLAIN),
        _ => return no("it has no adapter for that scheme"),
    };
    if rest.contains(['@', '/', '?', '#']) {
        return no(
            "it names a host and a port alone; user and password have settings of their own",
        );
    }
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (
            host,
            port.strip_prefix(':').or((port.is_empty()).then_some("")),
        ),
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, Some("")),
        },
    };
    let port = match port {
        Some("") if !rest.ends_with(':') => Some(usual),
        Some(port) => port.parse().ok().filter(|port| *port > 0),
        None => None,
    };
    let Some(port) = port else {
        return no("its port is none");
    };
    if host.is_empty() {
        return no("it has no host");
    }
    if way == Way::Plain && !is_here(host) {
        return no("without TLS a mail, its tokens and a password stay on a loopback address");
    }
    Ok(Place { way, host, port })
}

fn is_here(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
