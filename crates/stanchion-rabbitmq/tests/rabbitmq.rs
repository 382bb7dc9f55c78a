//! RabbitMQ as a broker, on a real server: the suite that every broker passes, and what is its own.

mod rabbitmq {
    mod conformance;
    mod server;
}
