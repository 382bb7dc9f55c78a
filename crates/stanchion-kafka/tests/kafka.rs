//! Kafka as a broker, on the broker that the client brings for tests: no real Kafka can be had here.

mod kafka {
    mod conformance;
    mod server;
}
