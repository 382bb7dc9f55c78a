stanchion_config::choice! {
    /// The form of log lines.
    pub enum LogFormat {
        /// For people: short lines.
        Pretty = "pretty",
        /// For machines: one JSON object a line.
        Json = "json",
    }
}

stanchion_config::settings! {
    /// Logs, metrics and traces.
    pub struct TelemetrySettings {
        /// What is logged: a level, or directives such as info,shop=debug.
        pub log: String = "info",
        /// pretty or json; pretty on a terminal and json elsewhere unless given.
        pub format: Option<LogFormat> = unset,
        /// Where traces are exported to by OTLP over HTTP, such as http://127.0.0.1:4318; off unless given.
        pub otlp_endpoint: Option<String> = unset,
        /// The share of the traces beginning here that are exported; of one that began elsewhere its beginning has decided.
        #[range(0.0..=1.0)]
        pub sampled: f64 = 1.0,
    }
}
