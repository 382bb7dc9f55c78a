//! The shop's ceremony: clients by its admin port, sessions by authorization code with PKCE on its own page.

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use http::header::COOKIE;
use serde_json::json;
use stanchion_load::{Request, Response, Target};

use super::{Client, PASSWORD, basic, connection, register};
use crate::plan::Plan;
use crate::state::Tokens;

/// A user may have a hundred sessions; beyond that the oldest ends.
const SESSIONS_EACH: usize = 16;
const REDIRECT_URI: &str = "http://127.0.0.1/done";
/// The pair of RFC 7636, appendix B: it protects nothing here.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What authenticates a new client that may do everything the mix needs.
pub(super) async fn client(plan: &Plan, number: usize) -> Result<String> {
    let admin = plan
        .admin_url
        .as_deref()
        .context("the shop has an admin port")?;
    let registration = json!({
        "name": format!("load {number}"),
        "kind": "confidential",
        "redirect_uris": [REDIRECT_URI],
        "grants": ["authorization_code", "refresh_token", "client_credentials"],
        "scopes": ["openid", "offline_access", "shop", "order:read"],
        "resource_server": true,
    });
    let request = Request::post("/clients").json(&registration);
    let answer = connection(&Target::parse(admin)?)
        .send(&request)
        .await?
        .expect(201)?;
    let made: Client = answer.json()?;
    Ok(basic(&made.client_id, &made.client_secret))
}

/// The first tokens of a new session of some user with that client.
pub(super) async fn session(target: &Target, client: &str, number: usize) -> Result<Tokens> {
    let name = format!("user{}", number / SESSIONS_EACH);
    if number.is_multiple_of(SESSIONS_EACH) || number == 1 {
        // A number may come again: then the user is there already.
        register(target, &name).await?;
    }
    let asked = format!(
        "response_type=code&client_id={}&redirect_uri={}&scope=openid+offline_access+shop&state=load\
         &code_challenge={CHALLENGE}&code_challenge_method=S256",
        id_of(client)?,
        encoded_uri(),
    );
    let mut browser = connection(target);
    let page = Request::get(&format!("/oauth2/authorize?{asked}"));
    let page = browser.send(&page).await?.expect(200)?;
    let (cookie, csrf) = ticket(&page).context("the page has another form")?;
    let decided = format!("{asked}&csrf={csrf}&decision=allow&login={name}&password={PASSWORD}");
    let decided = Request::post("/oauth2/authorize")
        .header(COOKIE, HeaderValue::from_str(&cookie)?)
        .form(decided);
    let sent_back = browser.send(&decided).await?.expect(303)?;
    let code = code(&sent_back).context("no code")?;
    let exchange = Request::post("/oauth2/token")
        .authorization(client)
        .form(format!(
            "grant_type=authorization_code&code={code}&redirect_uri={}&code_verifier={VERIFIER}",
            encoded_uri(),
        ));
    Ok(browser.send(&exchange).await?.expect(200)?.json()?)
}

/// The page's cookie, and the same word in its form.
fn ticket(page: &Response) -> Option<(String, String)> {
    let cookie = page.header("set-cookie")?.split(';').next()?.to_owned();
    let text = std::str::from_utf8(page.body()).ok()?;
    let (_, rest) = text.split_once("name=\"csrf\" value=\"")?;
    Some((cookie, rest.split('"').next()?.to_owned()))
}

fn code(sent_back: &Response) -> Option<String> {
    let (_, query) = sent_back.header("location")?.split_once('?')?;
    let mut pairs = query.split('&');
    let code = pairs.find_map(|pair| pair.strip_prefix("code="))?;
    Some(code.to_owned())
}

/// Out of `Basic …`.
fn id_of(client: &str) -> Result<String> {
    let text = client.trim_start_matches("Basic ");
    let pair = String::from_utf8(BASE64_STANDARD.decode(text)?)?;
    let (id, _) = pair.split_once(':').context("id:secret")?;
    Ok(id.to_owned())
}

fn encoded_uri() -> String {
    REDIRECT_URI.replace(':', "%3A").replace('/', "%2F")
}
