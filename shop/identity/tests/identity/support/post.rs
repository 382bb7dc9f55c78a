//! Where mails go in tests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use shop_identity::{Dependencies, MailDependencies, MailPages, relay};
use stanchion::mail::{Mail, MailError, Mailbox, Mailer};
use stanchion::messaging::MemoryBroker;
use stanchion::server::{Module, Running, ServerSettings, Service};
use stanchion::sql::SqlConsumerStore;
use stanchion::telemetry::Metrics;

/// Longer than anything in these tests takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// So long nothing comes that is not on its way.
const QUIET: Duration = Duration::from_millis(1_500);

/// A mailer that keeps what it is given, and answers as it was told.
#[derive(Default)]
pub(crate) struct Postbox {
    mails: Mutex<Vec<Mail>>,
    outcomes: Mutex<VecDeque<MailError>>,
    attempts: Mutex<u32>,
    out_of_reach: Mutex<Option<Mailbox>>,
}

#[async_trait]
impl Mailer for Postbox {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        *self.attempts.lock() += 1;
        if self.out_of_reach.lock().as_ref() == Some(&mail.to) {
            return Err(MailError::Unavailable("out of reach".into()));
        }
        if let Some(error) = self.outcomes.lock().pop_front() {
            return Err(error);
        }
        self.mails.lock().push(mail.clone());
        Ok(())
    }
}

impl Postbox {
    /// The next attempts fail like this.
    pub(crate) fn fails(&self, errors: impl IntoIterator<Item = MailError>) {
        self.outcomes.lock().extend(errors);
    }

    /// What goes to that address fails from now on.
    pub(crate) fn reaches_not(&self, address: &str) {
        *self.out_of_reach.lock() = Some(address.parse().unwrap());
    }

    /// Waits until so many mails are here; all of them.
    pub(crate) async fn mails(&self, count: usize) -> Vec<Mail> {
        let until = tokio::time::Instant::now() + PATIENCE;
        while self.mails.lock().len() < count {
            let here = self.mails.lock().len();
            let late = tokio::time::Instant::now() > until;
            assert!(!late, "{here} of {count} mails came");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.mails.lock().clone()
    }

    /// The latest of so many mails.
    pub(crate) async fn latest(&self, count: usize) -> Mail {
        self.mails(count).await.swap_remove(count - 1)
    }

    /// Of so many mails the latest that went to that address.
    pub(crate) async fn latest_to(&self, address: &str, count: usize) -> Mail {
        let address: Mailbox = address.parse().unwrap();
        let mut mails = self.mails(count).await.into_iter().rev();
        let found = mails.find(|mail| mail.to == address);
        found.expect("one went there")
    }

    /// How many mails are here once nothing more comes.
    pub(crate) async fn settled(&self) -> usize {
        loop {
            let before = (*self.attempts.lock(), self.mails.lock().len());
            tokio::time::sleep(QUIET).await;
            if before == (*self.attempts.lock(), self.mails.lock().len()) {
                return before.1;
            }
        }
    }

    pub(crate) fn attempts(&self) -> u32 {
        *self.attempts.lock()
    }
}

/// The token that a mail shows.
pub(crate) fn token_of(mail: &Mail) -> String {
    let word = mail
        .text
        .split_whitespace()
        .find(|word| word.starts_with("ot_"));
    word.unwrap_or_else(|| panic!("no token in:\n{}", mail.text))
        .to_owned()
}

pub(super) fn dependencies(postbox: &Arc<Postbox>, of: &Dependencies) -> MailDependencies {
    let broker = Arc::new(MemoryBroker::new());
    broker.register(Arc::new(relay(Arc::clone(&of.log))));
    MailDependencies {
        mailer: Arc::clone(postbox) as Arc<dyn Mailer>,
        pages: MailPages::default(),
        broker,
        consumers: Arc::new(SqlConsumerStore::new(of.db.clone())),
        asks: None,
        metrics: Metrics::default(),
    }
}

/// A process that does the module's work; nobody calls its port.
pub(super) async fn working(module: Module) -> Running {
    let settings = ServerSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        lame_duck: Some(Duration::ZERO),
        ..ServerSettings::default()
    };
    Service::new(settings).mount(module).start().await.unwrap()
}
