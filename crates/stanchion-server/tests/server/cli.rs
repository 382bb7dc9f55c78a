use std::ffi::OsString;
use std::sync::{Arc, Mutex};

use stanchion_messaging::{
    ConsumerStore, DeadLetterFilter, LogId, Mark, MemoryConsumerStore, ParkedState, Position,
};
use stanchion_server::{
    LogTask, Migration, Module, Options, Purpose, Role, Service, ServiceCli, Stopped,
};
use uuid::Uuid;

use super::admin::letter;
use super::shop::service;

type Seen = Arc<Mutex<Vec<String>>>;

/// Runs the command line; what the application's functions were told, and the exit code.
async fn cli(line: &str) -> (Vec<String>, u8) {
    let seen = Seen::default();
    let (built, configured, migrated, own) =
        (seen.clone(), seen.clone(), seen.clone(), seen.clone());
    let tasks = seen.clone();
    let build = async move |options: Options| -> Result<Service, Stopped> {
        built
            .lock()
            .unwrap()
            .push(format!("build {:?} {:?}", options.purpose, options.modules));
        match options.purpose {
            Purpose::Run => Err(Stopped::Failed("the store is out".into())),
            Purpose::Operate | Purpose::Describe => Ok(service()),
        }
    };
    let stopped = ServiceCli::new("shop", "1.0.0", build)
        .modules(&["orders", "payments"])
        .config(move |_, default| {
            configured.lock().unwrap().push(format!("config {default}"));
            Ok(String::new())
        })
        .migrate(async move |_, migration: Migration| {
            migrated
                .lock()
                .unwrap()
                .push(format!("migrate {migration:?}"));
            Ok("up to date".into())
        })
        .logs(async move |options: Options, task: LogTask| {
            let said = format!("{task:?} {:?}", options.modules);
            tasks.lock().unwrap().push(said);
            Ok(())
        })
        .command(
            clap::Command::new("sandbox"),
            async move |options: Options, _| {
                own.lock().unwrap().push(format!(
                    "sandbox {:?} {} {:?}",
                    options.config, options.demo, options.role
                ));
                Ok(())
            },
        )
        .main_with(
            std::iter::once("shop")
                .chain(line.split_whitespace())
                .map(OsString::from),
        )
        .await;
    let seen = seen.lock().unwrap().clone();
    (seen, stopped.code())
}

#[tokio::test]
async fn every_command_line_does_what_it_says() {
    let cases: [(&str, &[&str], u8); 29] = [
        ("", &["build Run []"], 1),
        (
            "--modules orders,payments",
            &["build Run [\"orders\", \"payments\"]"],
            1,
        ),
        ("--modules nonsense", &[], 2),
        ("--role nobody", &[], 2),
        ("nonsense", &[], 2),
        ("--help", &[], 0),
        ("--version", &[], 0),
        ("routes", &["build Describe []"], 0),
        ("log status", &["build Operate []"], 0),
        ("log show things", &["build Operate []"], 2),
        ("log verify --modules orders", &["Verify [\"orders\"]"], 0),
        (
            "log export orders",
            &["Export { module: \"orders\", file: None } []"],
            0,
        ),
        (
            "log import orders a.jsonl",
            &["Import { module: \"orders\", file: Some(\"a.jsonl\") } []"],
            0,
        ),
        ("log import", &[], 2),
        ("dead-letters list", &["build Operate []"], 0),
        (
            "dead-letters show 00000000-0000-0000-0000-000000000001",
            &["build Operate []"],
            1,
        ),
        ("redrive", &["build Operate []"], 0),
        ("redrive --consumer nobody", &["build Operate []"], 2),
        ("dead-letters show nonsense", &[], 2),
        ("processes list", &["build Operate []"], 0),
        ("processes show 7", &["build Operate []"], 1),
        ("processes restart 7", &[], 2),
        ("processes list --process no", &["build Operate []"], 2),
        ("projections", &["build Operate []"], 0),
        ("projections verify", &[], 2),
        ("projections verify nobody", &["build Operate []"], 2),
        ("config --default", &["config true"], 0),
        ("migrate --down 2", &["migrate Down(2)"], 0),
        (
            "sandbox --config a.toml --no-demo --role worker",
            &["sandbox Some(\"a.toml\") false Worker"],
            0,
        ),
    ];
    for (line, expected, code) in cases {
        let (seen, exit) = cli(line).await;
        assert_eq!(
            (seen.iter().map(String::as_str).collect::<Vec<_>>(), exit),
            (expected.to_vec(), code),
            "{line}"
        );
    }
    assert_eq!(Role::default(), Role::All);
}

/// Runs a command on a service whose module has these letters; the exit code.
async fn operate(store: &Arc<MemoryConsumerStore>, words: &[&str]) -> u8 {
    let consumers = store.clone();
    let build = async move |_: Options| -> Result<Service, Stopped> {
        Ok(service().mount(Module::new("inventory").consumers(consumers)))
    };
    let words = std::iter::once("shop").chain(words.iter().copied());
    let stopped = ServiceCli::new("shop", "1.0.0", build)
        .main_with(words.map(OsString::from))
        .await;
    stopped.code()
}

#[tokio::test]
async fn a_letter_is_changed_by_its_id_however_many_are_older() {
    let store = Arc::new(MemoryConsumerStore::default());
    for id in 1..=1_002 {
        store.park(&letter(id)).await.unwrap();
    }
    let filter = DeadLetterFilter {
        limit: 1_000,
        ..DeadLetterFilter::default()
    };
    let oldest = store.list(&filter).await.unwrap();
    let [last, other] = [1_002, 1_001].map(|id| letter(id).message.id);
    assert_eq!(oldest.len(), 1_000);
    assert!(
        oldest
            .iter()
            .all(|it| ![last, other].contains(&it.message.id))
    );

    let [last_id, other_id] = [last, other].map(|id| id.to_string());
    for command in ["show", "redrive"] {
        let code = operate(&store, &["dead-letters", command, &last_id]).await;
        assert_eq!(code, 0, "{command}");
    }
    let found = store.find(last).await.unwrap();
    let states: Vec<ParkedState> = found.iter().map(|it| it.state).collect();
    assert_eq!(states, [ParkedState::Retry]);
    let discard: [&str; 3] = ["dead-letters", "discard", &other_id];
    assert_eq!(operate(&store, &discard).await, 0);
    assert!(store.find(other).await.unwrap().is_empty());
    assert_eq!(operate(&store, &discard).await, 1, "it is gone");

    // The one that is tried again now is given up by another word.
    for (command, code) in [("discard", 1), ("withdraw", 0)] {
        let words: [&str; 3] = ["dead-letters", command, &last_id];
        assert_eq!(operate(&store, &words).await, code, "{command}");
    }
    assert!(store.find(last).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_consumer_that_has_read_by_way_of_a_broker_alone_is_known() {
    let store = Arc::new(MemoryConsumerStore::default());
    let by_name = async |command: &'static [&'static str], consumer: &'static str| {
        let words: Vec<&str> = [command, &["--consumer", consumer]].concat();
        operate(&store, &words).await
    };
    let commands: [&[&str]; 2] = [&["dead-letters", "list"], &["redrive"]];
    for command in commands {
        assert_eq!(by_name(command, "settle").await, 2, "{command:?}");
    }
    let mark = Mark {
        log: LogId(Uuid::nil()),
        partition: 3,
        family: "orders.order_placed".into(),
        position: Position(7),
        ahead: None,
    };
    store.settle("settle", &[mark]).await.unwrap();
    for command in commands {
        assert_eq!(by_name(command, "settle").await, 0, "{command:?}");
        assert_eq!(by_name(command, "nobody").await, 2, "{command:?}");
    }
}
