//! `shop policy`: what a policy file says, and why somebody may or may not.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use shop_kernel::UserId;
use stanchion::auth::policy::{
    Decision, Entity, Kind, PolicyFile, Question, Reason, Resource, Value, Vocabulary,
};
use stanchion::auth::{Permissions, Principal};
use stanchion::server::{Options, Stopped};

use crate::policies;
use crate::settings::ShopSettings;
use crate::store::look_into_store;

/// A service by its name, `svc:orders`, or one that acts for somebody: `svc:orders/ada`.
const SERVICE: &str = "svc:";

/// An OAuth client by its id, or one that acts for somebody: `client:ID/ada`.
const CLIENT: &str = "client:";

/// Somebody with that role and no name.
const ROLE: &str = "role:";

pub(crate) fn command() -> Command {
    let file = Arg::new("file")
        .long("file")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf));
    let check = Command::new("check")
        .about("Tells all that is wrong with a policy file; without one, with that of the settings")
        .arg(Arg::new("FILE").value_parser(value_parser!(PathBuf)));
    let list = Command::new("list")
        .about("Lists the policies, and what they can speak of")
        .arg(
            file.clone()
                .help("A policy file in place of that of the settings"),
        );
    let explain = Command::new("explain")
        .about("Tells whether somebody may do something, and why")
        .arg(
            Arg::new("as")
                .long("as")
                .value_name("USER")
                .required(true)
                .help("A user's name, e-mail address or id; role:NAME; svc:NAME or client:ID, with /USER for a service or an OAuth client on behalf of one"),
        )
        .arg(file.help("A policy file in place of that of the settings"))
        .arg(
            Arg::new("with")
                .long("with")
                .value_name("NAME=VALUE")
                .action(ArgAction::Append)
                .help("An attribute of the object, in place of what it is; a user by name"),
        )
        .arg(Arg::new("ACTION").required(true).help("Such as order:read"))
        .arg(Arg::new("RESOURCE").required(true).help("TYPE/ID as it is in the store, or TYPE with all its attributes by --with"));
    let shipped =
        Command::new("shipped").about("Prints the policies that are shipped, to begin a file with");
    Command::new("policy")
        .about("Policies: what they say, and why somebody may or may not")
        .subcommand_required(true)
        .subcommands([check, explain, list, shipped])
}

pub(crate) async fn run(options: Options, matches: ArgMatches) -> Result<(), Stopped> {
    let settings = crate::load(&options)?.value;
    let (name, given) = matches.subcommand().unwrap_or(("", &matches));
    if name == "shipped" {
        print!("{}", policies::shipped());
        return Ok(());
    }
    let named = if name == "check" { "FILE" } else { "file" };
    let file = given
        .get_one::<PathBuf>(named)
        .or(settings.policy.file.as_ref());
    let file = policies::read(file.map(PathBuf::as_path)).map_err(Stopped::Failed)?;
    match name {
        "check" => println!(
            "{}: {} policies, nothing wrong",
            file.name(),
            file.summaries().count()
        ),
        "list" => print!("{}", listed(&file)),
        _ => {
            let told = explain(&settings, file, given)
                .await
                .map_err(Stopped::Failed)?;
            println!("{told}");
        }
    }
    Ok(())
}

fn listed(file: &PolicyFile) -> String {
    let mut text = String::new();
    for policy in file.summaries() {
        let effect = if policy.forbids { "forbid" } else { "permit" };
        text += &format!("{effect} {}: {}\n", policy.name, policy.actions.join(", "));
    }
    let words = file.vocabulary();
    for action in words.actions() {
        for kind in words.types_of(action) {
            let attributes = words.attributes(kind).map(|(name, kind, always)| {
                let perhaps = if always { "" } else { ", perhaps" };
                format!("{name} ({kind}{perhaps})")
            });
            let attributes = attributes.collect::<Vec<_>>().join(", ");
            text += &format!("action {action} on {kind}: {attributes}\n");
        }
    }
    text
}

async fn explain(
    settings: &ShopSettings,
    file: PolicyFile,
    given: &ArgMatches,
) -> Result<String, String> {
    let text = |name: &str| given.get_one::<String>(name).cloned().unwrap_or_default();
    let (who, action) = (text("as"), text("ACTION"));
    let words = file.vocabulary().clone();
    if words.types_of(&action).next().is_none() {
        let known = words.actions().collect::<Vec<_>>().join(", ");
        return Err(format!(
            "no policy is asked about {action:?}; there are {known}"
        ));
    }
    let principal = principal(settings, &words, &who).await?;
    let mut resource = resource(settings, &text("RESOURCE")).await?;
    for attribute in given.get_many::<String>("with").into_iter().flatten() {
        resource = with(settings, &words, resource, attribute).await?;
    }
    let deciding = policies::deciding(file)?;
    let question = Question {
        principal: &principal,
        action: &action,
        resource: &resource,
    };
    let decision = deciding.decide(&question);
    Ok(told(&principal, &action, &resource, &decision))
}

/// The decision, and which role brought the permission.
fn told(principal: &Principal, action: &str, resource: &Resource, decision: &Decision) -> String {
    let roles: Vec<_> = principal.roles.iter().map(String::as_str).collect();
    let mut text = format!(
        "{} (roles: {}) {action} {}: {decision}",
        Entity::of(principal),
        if roles.is_empty() {
            "none".to_owned()
        } else {
            roles.join(", ")
        },
        resource.entity(),
    );
    let table = policies::vocabulary();
    for reason in &decision.reasons {
        let (permission, holder) = match reason {
            Reason::Holds { permission, .. } => (permission, "by the role"),
            Reason::Lacks(permission) => (permission, "held by the roles"),
            _ => continue,
        };
        let held = table.roles_with(permission);
        let held: Vec<_> = match reason {
            Reason::Holds { .. } => held.filter(|role| roles.contains(role)).collect(),
            _ => held.collect(),
        };
        text += &match held.as_slice() {
            // A client's.
            [] => format!("\n  {permission} is by its scopes"),
            held => format!("\n  {permission} is {holder} {}", held.join(", ")),
        };
    }
    text
}

async fn principal(
    settings: &ShopSettings,
    words: &Vocabulary,
    who: &str,
) -> Result<Principal, String> {
    if let Some(role) = who.strip_prefix(ROLE) {
        let permissions = words.permissions_of(role);
        let permissions = permissions.ok_or_else(|| format!("there is no role {role:?}"))?;
        let nobody = stanchion::runtime::id::new_v7();
        return Ok(Principal {
            roles: [role.to_owned()].into(),
            ..Principal::user(nobody, nobody, permissions)
        });
    }
    if let Some(service) = who.strip_prefix(SERVICE) {
        let (name, user) = parted(service);
        let service = Principal::service(name, Permissions::none());
        let service = service.map_err(|error| error.to_string())?;
        return Ok(match user {
            Some(user) => service.on_behalf_of(user_id(settings, user).await?.0),
            None => service,
        });
    }
    match who.strip_prefix(CLIENT) {
        Some(client) => oauth_client(settings, client).await,
        None => user(settings, who).await,
    }
}

/// A name, and whom it acts for.
fn parted(name: &str) -> (&str, Option<&str>) {
    match name.split_once('/') {
        Some((name, user)) => (name, Some(user)),
        None => (name, None),
    }
}

async fn oauth_client(settings: &ShopSettings, name: &str) -> Result<Principal, String> {
    let (client, name) = parted(name);
    let of = match name {
        Some(name) => Some(user(settings, name).await?),
        None => None,
    };
    let store = look_into_store(settings, "identity").await?;
    let found = shop_identity::who_is_client(&store.db, client, of.as_ref()).await?;
    found.ok_or_else(|| format!("there is no client {client:?}"))
}

async fn user(settings: &ShopSettings, name: &str) -> Result<Principal, String> {
    let store = look_into_store(settings, "identity").await?;
    let found = shop_identity::who_is(&store.db, name).await?;
    found.ok_or_else(|| format!("there is no user {name:?}"))
}

async fn user_id(settings: &ShopSettings, name: &str) -> Result<UserId, String> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let user = user(settings, name).await?.acting_user();
    user.map(UserId)
        .ok_or_else(|| format!("{name:?} is no user"))
}

/// The object as it is in its store, or one without attributes.
async fn resource(settings: &ShopSettings, asked: &str) -> Result<Resource, String> {
    let missing = || format!("there is no {asked}");
    match asked.split_once('/') {
        Some(("Order", id)) => {
            let store = look_into_store(settings, "orders").await?;
            let order = shop_orders::guarded_order(store.log, id).await?;
            order.ok_or_else(missing)
        }
        Some(("Payment", id)) => {
            let store = look_into_store(settings, "payments").await?;
            let payment = shop_payments::guarded_payment(store.log, id).await?;
            payment.ok_or_else(missing)
        }
        Some((kind @ ("OrderList" | "PaymentList"), owner)) => {
            let owner = user_id(settings, owner).await?;
            let list = Resource::new(known(kind)?, owner);
            Ok(list.with("owner", Entity::user(owner.0)))
        }
        Some((kind, id)) => Ok(Resource::new(known(kind)?, id)),
        None => Ok(Resource::new(known(asked)?, "any")),
    }
}

fn known(kind: &str) -> Result<&'static str, String> {
    let kinds = ["Order", "OrderList", "Payment", "PaymentList"];
    let found = kinds.into_iter().find(|known| *known == kind);
    found.ok_or_else(|| format!("there is no type {kind:?}; there are {}", kinds.join(", ")))
}

/// The object with an attribute that is given as text, read as the vocabulary has it.
async fn with(
    settings: &ShopSettings,
    words: &Vocabulary,
    resource: Resource,
    given: &str,
) -> Result<Resource, String> {
    let (name, text) = given
        .split_once('=')
        .ok_or_else(|| format!("{given}: write NAME=VALUE"))?;
    let of = resource.entity().kind().to_owned();
    let found = words.attributes(&of).find(|(known, ..)| *known == name);
    let (_, kind, _) = found.ok_or_else(|| format!("a {of} has no {name}"))?;
    let wrong = || format!("{name} is {kind}, not {text:?}");
    let value: Value = match kind {
        Kind::Bool => text.parse::<bool>().map_err(|_| wrong())?.into(),
        Kind::Number => text.parse::<i64>().map_err(|_| wrong())?.into(),
        Kind::Text => text.into(),
        Kind::Entity(kind) if kind == "User" => {
            Entity::user(user_id(settings, text).await?.0).into()
        }
        Kind::Entity(kind) => Entity::new(kind.clone(), text).into(),
        Kind::Set(_) => text
            .split(',')
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .into(),
    };
    Ok(resource.replacing(name, value))
}
