//! `shop clients`: which programs get tokens. The running service is asked through its admin port.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};
use stanchion::server::{Options, Stopped, ask_operated};

/// What the admin port knows them by.
const CLIENTS: &str = "clients";

pub(crate) fn command() -> Command {
    let id = || {
        Arg::new("id")
            .required(true)
            .value_name("CLIENT_ID")
            .help("Which client")
    };
    Command::new(CLIENTS)
        .about(
            "OAuth clients: create, list, disable, give another secret; asks the running service",
        )
        .subcommand_required(true)
        .subcommand(create())
        .subcommand(Command::new("list").about("Lists them, oldest first"))
        .subcommand(
            Command::new("disable")
                .about("Refuses a client and all its tokens, at once")
                .arg(id()),
        )
        .subcommand(Command::new("enable").about("Lets it in again").arg(id()))
        .subcommand(
            Command::new("rotate-secret")
                .about("Gives it another secret, shown once; the former one is worth nothing")
                .arg(id()),
        )
}

fn create() -> Command {
    let several = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name(value)
            .action(ArgAction::Append)
            .help(help)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    Command::new("create")
        .about("Registers a client; a secret is shown once")
        .arg(
            Arg::new("name")
                .required(true)
                .value_name("NAME")
                .help("What users are shown"),
        )
        .arg(flag(
            "public",
            "It runs where nobody can keep a secret: a browser, a phone",
        ))
        .arg(flag(
            "resource-server",
            "It serves others with tokens of ours, so it may ask about all of them",
        ))
        .arg(several(
            "redirect-uri",
            "URI",
            "Where answers may be sent, exactly; may be given several times",
        ))
        .arg(several(
            "grant",
            "GRANT",
            "authorization_code, refresh_token or client_credentials; may be given several times",
        ))
        .arg(several(
            "scope",
            "SCOPE",
            "openid, profile, email, offline_access, shop, or a permission; may be given several times",
        ))
}

pub(crate) async fn run(options: Options, given: ArgMatches) -> Result<(), Stopped> {
    let admin = crate::load(&options)?.value.admin;
    let (method, path, body) = match given.subcommand() {
        Some(("create", given)) => ("POST", vec![CLIENTS.to_owned()], Some(plan(given))),
        Some((action, given)) if action != "list" => {
            let id = given.get_one::<String>("id").cloned().unwrap_or_default();
            (
                "POST",
                vec![CLIENTS.to_owned(), id, action.to_owned()],
                None,
            )
        }
        _ => ("GET", vec![CLIENTS.to_owned()], None),
    };
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    let method = method.parse().map_err(Stopped::failed)?;
    let answer = ask_operated(&admin, method, &path, body.as_ref()).await?;
    match answer["data"].as_array() {
        Some(clients) => clients
            .iter()
            .for_each(|client| println!("{}", line(client))),
        None => println!("{}", told(&answer)),
    }
    Ok(())
}

fn plan(given: &ArgMatches) -> Value {
    let several = |name: &str| -> Vec<&String> {
        let values = given.get_many::<String>(name);
        values.into_iter().flatten().collect()
    };
    let kind = if given.get_flag("public") {
        "public"
    } else {
        "confidential"
    };
    json!({
        "name": given.get_one::<String>("name"),
        "kind": kind,
        "redirect_uris": several("redirect-uri"),
        "grants": several("grant"),
        "scopes": several("scope"),
        "resource_server": given.get_flag("resource-server"),
    })
}

fn line(client: &Value) -> String {
    let text = |name: &str| client[name].as_str().unwrap_or("-");
    let state = if client["disabled_at"].is_null() {
        "enabled"
    } else {
        "disabled"
    };
    format!(
        "{}  {:<12}  {state:<8}  {}  {}",
        text("client_id"),
        text("kind"),
        words(&client["grants"]),
        text("name"),
    )
}

/// One client, a line a part; the secret, if there is one, is shown now and never again.
fn told(client: &Value) -> String {
    let text = |name: &str| client[name].as_str().unwrap_or("-").to_owned();
    let mut lines = vec![
        format!("client_id      {}", text("client_id")),
        format!("name           {}", text("name")),
        format!("kind           {}", text("kind")),
        format!("grants         {}", words(&client["grants"])),
        format!("scopes         {}", words(&client["scopes"])),
        format!("redirect_uris  {}", words(&client["redirect_uris"])),
    ];
    if let Some(since) = client["disabled_at"].as_str() {
        lines.push(format!("disabled_at    {since}"));
    }
    if let Some(secret) = client["client_secret"].as_str() {
        lines.push(format!("client_secret  {secret}    (shown once: keep it)"));
    }
    lines.join("\n")
}

fn words(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten();
    let words: Vec<_> = words.filter_map(Value::as_str).collect();
    words.join(" ")
}
