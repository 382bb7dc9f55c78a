//! Loading as a service does it: file, environment and secret files together.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use stanchion_config::{
    ByteSize, Checks, ExposeSecret, Loaded, Loader, Problems, SecretString, Source, default_file,
};

stanchion_config::choice! {
    /// Where the service runs.
    pub enum Environment {
        /// A developer's machine.
        Dev = "dev",
        /// A rehearsal.
        Staging = "staging",
        /// The real thing.
        Prod = "prod",
    }
}

stanchion_config::settings! {
    /// Everything.
    pub struct Shop {
        /// Where the service runs.
        pub environment: Environment = Environment::Dev,
        /// Modules to run;
        /// none means all.
        pub modules: Vec<String> = "",
        /// Where and how the service listens.
        pub server: Server = section,
        /// The store.
        pub database: Database = section,
    }
}

stanchion_config::settings! {
    /// Where and how the service listens.
    pub struct Server {
        /// Public address.
        pub listen: SocketAddr = "127.0.0.1:8080",
        /// Longest time a request may take.
        #[range("1ms"..="1h")]
        pub timeout: Duration = Duration::from_secs(30),
        /// Largest body.
        pub body_bytes_max: ByteSize = "1MiB",
        /// Signs cursors.
        pub secret: Option<SecretString> = unset,
        /// Behind a proxy.
        pub behind_proxy: bool = false,
        /// Browsers that may call.
        pub cors: Cors = section,
    }
}

stanchion_config::settings! {
    /// Browsers that may call.
    pub struct Cors {
        /// Their origins.
        pub origins: Vec<String> = vec!["https://a.example".to_owned(), "with \"quotes\" \\ and, commas".to_owned()],
        /// Share of requests traced.
        pub ratio: f64 = 0.5,
    }
}

stanchion_config::settings! {
    /// The store.
    pub struct Database {
        /// Connections open at once.
        #[range(1..=500)]
        pub open: u32 = 25,
        /// Connections kept while idle.
        pub idle: u32 = 5,
        /// Statement limit.
        pub statement: Option<Duration> = "5s",
        /// Where certificates lie.
        pub certificates: PathBuf = "certs",
        /// At most this many of something.
        #[range("1"..="9")]
        pub few: Option<u8> = unset,
    }
    check = idle_fits_open;
}

fn idle_fits_open(database: &Database, checks: &mut Checks<'_>) {
    if database.idle > database.open {
        checks.refuse(
            "idle",
            "more idle than open connections",
            "lower `idle` or raise `open`",
        );
    }
}

/// Loads from a file of that text and those variables.
fn load(file: &str, variables: &[(&str, &str)]) -> Result<Loaded<Shop>, Problems> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.toml");
    std::fs::write(&path, file).unwrap();
    let variables = variables
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Loader::new("SHOP").file(path).environment(variables).load()
}

/// What is wrong, one line a problem, without the folder of the file.
fn problems(file: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let problems = load(file, variables).unwrap_err();
    let line = |text: String| match text.find("shop.toml") {
        Some(at) => text[at..].to_owned(),
        None => text,
    };
    problems
        .iter()
        .map(|problem| line(problem.to_string()))
        .collect()
}

#[test]
fn nothing_given_means_the_defaults() {
    let loaded: Loaded<Shop> = Loader::new("SHOP")
        .file_if_present("no/such/file.toml")
        .load()
        .unwrap();
    assert_eq!(loaded.value.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        loaded.value.database.statement,
        Some(Duration::from_secs(5))
    );
    assert_eq!(loaded.source("server.listen"), Some(&Source::Default));
    assert!(!loaded.is_given("server.listen"));
    assert_eq!(loaded.source("server.listne"), None);
}

#[test]
fn the_stronger_source_wins() {
    let file = "environment = 'staging'\n[server]\ntimeout = '10s'\nlisten = '127.0.0.1:1'\n";
    let loaded = load(
        file,
        &[
            ("SHOP__SERVER__TIMEOUT", "2s"),
            ("SHOPPING", "x"),
            ("SHOP_X", "y"),
        ],
    )
    .unwrap();
    assert_eq!(loaded.value.environment, Environment::Staging);
    assert_eq!(loaded.value.server.timeout, Duration::from_secs(2));
    assert_eq!(
        loaded.source("server.timeout"),
        Some(&Source::Variable("SHOP__SERVER__TIMEOUT".into()))
    );
    assert!(matches!(
        loaded.source("server.listen"),
        Some(Source::File { line: 4, .. })
    ));

    let variables = [("SHOP__ENVIRONMENT".to_owned(), "dev".to_owned())];
    let loader =
        Loader::new("SHOP")
            .environment(variables)
            .argument("--environment", "environment", "prod");
    assert_eq!(
        loader.load::<Shop>().unwrap().value.environment,
        Environment::Prod
    );
}

#[test]
fn lists_come_as_arrays_or_with_commas() {
    let origins = |loaded: Loaded<Shop>| loaded.value.server.cors.origins;
    let file = "[server.cors]\norigins = ['a', 'b']";
    assert_eq!(origins(load(file, &[]).unwrap()), ["a", "b"]);
    assert_eq!(
        origins(load(file, &[("SHOP__SERVER__CORS__ORIGINS", "c, d")]).unwrap()),
        ["c", "d"]
    );
    assert_eq!(
        origins(load(file, &[("SHOP__SERVER__CORS__ORIGINS", "['e,f', 'g']")]).unwrap()),
        ["e,f", "g"]
    );
    assert!(origins(load(file, &[("SHOP__SERVER__CORS__ORIGINS", "")]).unwrap()).is_empty());
}

#[test]
fn every_problem_is_told_at_once_with_its_source() {
    let file = "\
enviroment = 'dev'
[server]
listen = 8080
timeout = 30
colour = 'red'
[server.cors]
origins = ['a', 1]
[database]
open = 900
idle = 'many'
[payment]
url = 'x'
";
    let found = problems(
        file,
        &[
            ("SHOP__DATABASE__OPNE", "7"),
            ("SHOP__ENVIRONMENT", "test"),
            ("SHOP__server__LISTEN", "x"),
        ],
    );
    let expected = [
        "shop.toml:1 (enviroment): nobody knows this key; did you mean `environment`?",
        "shop.toml:3 (server.listen): 8080 is not an IP address and port such as `127.0.0.1:8080` or `[::1]:8080`; give `server.listen` an IP address and port such as `127.0.0.1:8080` or `[::1]:8080`",
        "shop.toml:4 (server.timeout): 30 is not a duration such as `250ms`, `30s`, `5m` or `1h30m`; give `server.timeout` a duration such as `250ms`, `30s`, `5m` or `1h30m`, from 1ms to 1h",
        "shop.toml:5 (server.colour): nobody knows this key; remove it; `config --default` lists every key",
        "shop.toml:7 (server.cors.origins): 1 is not a text; give `server.cors.origins` a list, each item a text",
        "shop.toml:9 (database.open): 900 is not allowed; give `database.open` a whole number from 0 to 4294967295, from 1 to 500",
        "shop.toml:10 (database.idle): `many` is not a whole number from 0 to 4294967295; give `database.idle` a whole number from 0 to 4294967295",
        "shop.toml:11 (payment): nobody knows this key; remove it; `config --default` lists every key",
        "SHOP__DATABASE__OPNE (database.opne): nobody knows this key; did you mean `SHOP__DATABASE__OPEN`?",
        "SHOP__ENVIRONMENT (environment): `test` is not one of `dev`, `staging`, `prod`; give SHOP__ENVIRONMENT one of `dev`, `staging`, `prod`",
        "SHOP__server__LISTEN: variables are upper case; write SHOP__SERVER__LISTEN",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_file_that_is_not_toml_is_told_by_line_without_its_text() {
    let found = problems("[server]\nsecret = \"canary\nlisten = 'x'", &[]);
    assert!(found[0].starts_with("shop.toml:2: not TOML: "), "{found:?}");
    assert!(!found.concat().contains("canary"));
}

#[test]
fn a_missing_file_is_a_problem_when_it_was_named() {
    let problems = Loader::new("SHOP")
        .file("no/such/file.toml")
        .load::<Shop>()
        .unwrap_err();
    assert!(
        problems
            .to_string()
            .contains("no/such/file.toml: the file cannot be read"),
        "{problems}"
    );
}

#[test]
fn a_section_is_not_a_value() {
    assert_eq!(
        problems("server = 1", &[]),
        [
            "shop.toml:1 (server): this is a section, not a value; write a section [server] with keys of its own"
        ]
    );
}

#[test]
fn sections_and_the_whole_can_be_judged() {
    let file = "[database]\nopen = 4";
    assert_eq!(
        problems(file, &[("SHOP__DATABASE__IDLE", "5")]),
        [
            "SHOP__DATABASE__IDLE (database.idle): more idle than open connections; lower `idle` or raise `open`"
        ]
    );
    let loaded = load("environment = 'prod'", &[]).unwrap();
    let refused = loaded.check(|shop, checks| {
        if shop.environment == Environment::Prod
            && checks.source("server.secret") == Some(&Source::Default)
        {
            checks.refuse(
                "server.secret",
                "prod needs one",
                "set SHOP__SERVER__SECRET",
            );
        }
    });
    assert_eq!(
        refused.unwrap_err().iter().next().unwrap().key,
        "server.secret"
    );
}

#[test]
fn an_unset_option_passes_its_range() {
    assert_eq!(
        load("", &[("SHOP__DATABASE__FEW", "")])
            .unwrap()
            .value
            .database
            .few,
        None
    );
    assert_eq!(
        load("", &[("SHOP__DATABASE__FEW", "9")])
            .unwrap()
            .value
            .database
            .few,
        Some(9)
    );
    assert_eq!(problems("", &[("SHOP__DATABASE__FEW", "10")]).len(), 1);
}

#[test]
fn a_secret_comes_from_a_file_without_its_newline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "canary-1\r\n").unwrap();
    let path = path.to_str().unwrap();
    let loaded = load("", &[("SHOP__SERVER__SECRET_FILE", path)]).unwrap();
    assert_eq!(
        loaded.value.server.secret.as_ref().unwrap().expose_secret(),
        "canary-1"
    );
    assert!(loaded.effective().contains(&format!(
        "server.secret = \"***\"  # SHOP__SERVER__SECRET_FILE ({path})"
    )));

    let both = problems(
        "",
        &[
            ("SHOP__SERVER__SECRET_FILE", path),
            ("SHOP__SERVER__SECRET", "canary-2"),
        ],
    );
    assert_eq!(
        both,
        [
            "SHOP__SERVER__SECRET (server.secret): both this and SHOP__SERVER__SECRET_FILE are set; unset one of the two"
        ]
    );
    let missing = problems("", &[("SHOP__SERVER__SECRET_FILE", "no/such/secret")]);
    assert!(
        missing[0].contains("the file cannot be read"),
        "{missing:?}"
    );
}

#[test]
fn secrets_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("listen");
    std::fs::write(&path, "canary-not-an-address").unwrap();
    let wrong = [
        ("SHOP__SERVER__LISTEN_FILE", path.to_str().unwrap()),
        ("SHOP__NOBODY", "canary-unknown"),
    ];
    let shown = format!(
        "{0:?} {0}",
        load("[server]\nsecret = ['canary-list']", &wrong).unwrap_err()
    );
    assert!(!shown.contains("canary"), "{shown}");

    let variables = [("SHOP__SERVER__SECRET".to_owned(), "canary".to_owned())];
    let loader = Loader::new("SHOP").environment(variables);
    let shown_before = format!("{loader:?}");
    let loaded: Loaded<Shop> = loader.load().unwrap();
    let shown = format!("{shown_before} {loaded:?} {}", loaded.effective());
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn the_default_file_explains_itself_and_parses_back_to_the_defaults() {
    let text = default_file::<Shop>();
    let start = "\
# Where the service runs.
environment = \"dev\"
# Modules to run;
# none means all.
modules = []

# Where and how the service listens.
[server]
# Public address.
listen = \"127.0.0.1:8080\"
# Longest time a request may take.
timeout = \"30s\"
# Largest body.
body_bytes_max = \"1MiB\"
# Signs cursors.
# secret =    # a secret text
";
    assert!(text.starts_with(start), "{text}");
    let loaded = load(&text, &[]).unwrap();
    assert_eq!(
        format!("{:?}", loaded.value),
        format!("{:?}", Shop::default())
    );
    assert_eq!(
        default_file::<Shop>(),
        stanchion_config::default_file_over(&loaded.value)
    );
}

#[test]
fn the_effective_configuration_is_a_file_that_gives_itself() {
    let loaded = load(
        "",
        &[
            ("SHOP__SERVER__CORS__RATIO", "1"),
            ("SHOP__MODULES", "a\u{7}b"),
        ],
    )
    .unwrap();
    let effective = loaded.effective();
    assert!(
        effective.contains("server.cors.ratio = 1.0  # SHOP__SERVER__CORS__RATIO\n"),
        "{effective}"
    );
    let again = load(&effective, &[]).unwrap();
    assert_eq!(format!("{:?}", again.value), format!("{:?}", loaded.value));
}
