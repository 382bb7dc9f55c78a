/// What carries messages between the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broker {
    /// No server: each worker reads the other contexts' logs in their databases.
    None,
    /// The server at this URL: `nats://`, `amqp://`, `kafka://`.
    At(String),
}

impl Broker {
    /// `broker.url`.
    #[must_use]
    pub fn url(&self) -> &str {
        match self {
            Self::None => "memory:",
            Self::At(url) => url,
        }
    }
}
