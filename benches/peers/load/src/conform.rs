//! What a service must do before it is measured.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use stanchion_load::{Connection, Target};

use crate::plan::{Dialect, Plan};
use crate::setup;
use crate::state::{Session, State};

/// How long what was revoked may still be good elsewhere.
const REVOKED_WITHIN: Duration = Duration::from_millis(1_200);
/// By its form a token, by its signature none.
const FORGED: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJub2JvZHkifQ.AAAA";

pub(crate) async fn check(plan: &Plan, target: &Target, state: &State) -> Result<()> {
    let mut connection = Connection::new(Arc::new(target.clone()));
    let dialect = plan.dialect;
    let client = state
        .client(&mut StdRng::seed_from_u64(plan.seed))
        .to_owned();
    issues(dialect, &mut connection, &client)
        .await
        .context("issuing")?;
    let (owner, tokens) = setup::session(plan, target, state, 0).await?;
    let session = |access: &str| Session {
        client: owner.clone(),
        access: access.to_owned(),
    };
    let old = session(&tokens.access_token);
    ensure!(
        good(dialect, &mut connection, &client, &old).await?,
        "a new token is not good"
    );
    let forged = session(FORGED);
    ensure!(
        !good(dialect, &mut connection, &client, &forged).await?,
        "a forged token is good"
    );
    let rotation = dialect.refresh(&owner, &tokens.refresh_token);
    let child = dialect.refreshed(connection.send(&rotation).await?)?;
    ensure!(
        child.refresh_token != tokens.refresh_token,
        "refreshing does not rotate"
    );
    let new = session(&child.access_token);
    ensure!(
        good(dialect, &mut connection, &client, &new).await?,
        "a refreshed token is not good"
    );
    let reused = connection.send(&rotation).await?;
    ensure!(
        dialect.refuses_refresh(&reused),
        "a used refresh token: {}",
        reused.status()
    );
    let next = dialect.refresh(&owner, &child.refresh_token);
    let next = connection.send(&next).await?;
    ensure!(
        dialect.refuses_refresh(&next),
        "reuse left the family alive: {}",
        next.status()
    );
    tokio::time::sleep(REVOKED_WITHIN).await;
    ensure!(
        !good(dialect, &mut connection, &client, &new).await?,
        "a revoked session is good"
    );
    Ok(())
}

async fn issues(dialect: Dialect, connection: &mut Connection, client: &str) -> Result<()> {
    let issued = dialect.issued(connection.send(&dialect.issue(client)).await?)?;
    ensure!(!issued.is_empty(), "an empty token");
    if dialect == Dialect::Login {
        return Ok(());
    }
    let own = Session {
        client: client.to_owned(),
        access: issued,
    };
    ensure!(
        good(dialect, connection, client, &own).await?,
        "an issued token is not good"
    );
    let stranger = setup::basic("nobody", "guessed");
    let refused = connection.send(&dialect.issue(&stranger)).await?;
    ensure!(
        refused.status() == 401,
        "an unknown client: {}",
        refused.status()
    );
    Ok(())
}

async fn good(
    dialect: Dialect,
    connection: &mut Connection,
    client: &str,
    session: &Session,
) -> Result<bool> {
    let answer = connection.send(&dialect.check(client, session)).await?;
    Ok(dialect.checked(&answer)?)
}
