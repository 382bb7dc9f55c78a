//! Clients and sessions, made before anything is measured.

mod shop;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use stanchion_load::{Connection, Request, Target};

use crate::plan::{Dialect, Plan};
use crate::state::{State, Tokens};

/// Users of the shop; hashed once each, whatever it is.
const PASSWORD: &str = "a-load-that-is-quite-heavy";

#[derive(Deserialize)]
struct Client {
    client_id: String,
    client_secret: String,
}

pub(crate) async fn prepare(plan: &Plan, target: &Target) -> Result<State> {
    let mut clients = Vec::with_capacity(plan.clients);
    for number in 0..plan.clients {
        let made = client(plan, target, number).await;
        clients.push(made.with_context(|| format!("client {number}"))?);
    }
    let mut state = State::new(clients);
    for number in 0..plan.families {
        let begun = session(plan, target, &state, number + 1).await;
        let (client, tokens) = begun.with_context(|| format!("session {number}"))?;
        state.add(client, tokens);
    }
    Ok(state)
}

/// New sessions for those whose chain was lost.
pub(crate) async fn replenish(plan: &Plan, target: &Target, state: &State) -> Result<()> {
    for slot in state.lost() {
        let (client, tokens) = session(plan, target, state, slot + 1).await?;
        state.replace(slot, client, tokens);
    }
    Ok(())
}

/// What authenticates a new client.
async fn client(plan: &Plan, target: &Target, number: usize) -> Result<String> {
    if plan.dialect == Dialect::Login {
        let name = format!("loader{number}");
        register(target, &name).await?;
        return Ok(login(&name).to_string());
    }
    if plan.dialect == Dialect::Shop {
        return shop::client(plan, number).await;
    }
    let request = Request::post("/admin/clients").json(&json!({"name": format!("load-{number}")}));
    let answer = connection(target).send(&request).await?.expect(201)?;
    let made: Client = answer.json()?;
    Ok(basic(&made.client_id, &made.client_secret))
}

/// A new session: the client that may refresh it, and its first tokens.
pub(crate) async fn session(
    plan: &Plan,
    target: &Target,
    state: &State,
    number: usize,
) -> Result<(String, Tokens)> {
    if plan.dialect == Dialect::Login {
        let name = format!("user{number}");
        // It is there already when a lost session is begun anew.
        register(target, &name).await?;
        let request = Request::post("/api/v1/auth/login").json(&login(&name));
        let answer = connection(target).send(&request).await?;
        return Ok((String::new(), plan.dialect.refreshed(answer)?));
    }
    let client = state.client_of(number).to_owned();
    if plan.dialect == Dialect::Shop {
        let tokens = shop::session(target, &client, number).await?;
        return Ok((client, tokens));
    }
    let request = Request::post("/admin/sessions").authorization(&client);
    let answer = connection(target).send(&request).await?.expect(200)?;
    Ok((client, answer.json()?))
}

async fn register(target: &Target, name: &str) -> Result<()> {
    let body = json!({
        "email": format!("{name}@example.com"), "username": name, "password": PASSWORD,
    });
    let request = Request::post("/api/v1/users").json(&body);
    let answer = connection(target).send(&request).await?;
    let status = answer.status().as_u16();
    ensure!(matches!(status, 201 | 409), "registering {name}: {status}");
    Ok(())
}

fn login(name: &str) -> Value {
    json!({"login": name, "password": PASSWORD})
}

fn connection(target: &Target) -> Connection {
    Connection::new(Arc::new(target.clone()))
}

/// `Authorization: Basic …` of RFC 7617; ids and secrets need no percent-encoding.
pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
}
