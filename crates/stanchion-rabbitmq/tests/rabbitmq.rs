//! RabbitMQ as a broker, on a real server: the suite that every broker passes, and what is its own.

mod rabbitmq {
    mod bounds;
    mod conformance;
    mod security;
    mod server;
}
