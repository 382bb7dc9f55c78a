use std::collections::BTreeSet;

use secrecy::SecretString;
use stanchion::auth::oauth::{OAuthError, OpaqueToken, Parameters};
use stanchion::auth::token::ACCESS_TTL;
use stanchion::runtime::id;
use stanchion::sql::params;

use super::{admin, metadata};
use crate::application::oauth::{Consent, Exchange};
use crate::application::ports::Which;
use crate::application::{Identity, Login};
use crate::domain::{Client, ClientPlan, Flow, RegisteredClient, SessionId};
use crate::testing::Store;

// Of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const DONE: &str = "https://app.example/done";

async fn app(identity: &Identity) -> RegisteredClient {
    let plan = ClientPlan {
        name: "App".into(),
        confidential: false,
        redirect_uris: vec![DONE.parse().unwrap()],
        flows: BTreeSet::from([Flow::AuthorizationCode]),
        scopes: "openid shop".parse().unwrap(),
        resource_server: false,
    };
    let registered = identity.register_client(plan, &metadata()).await;
    registered.unwrap().0
}

/// The code that the administrator gives the client.
async fn code_for(identity: &Identity, client: &RegisteredClient) -> OpaqueToken {
    let asks = format!(
        "response_type=code&client_id={}&redirect_uri={DONE}&scope=openid+shop&code_challenge={CHALLENGE}\
         &code_challenge_method=S256",
        client.id
    );
    let asks = Parameters::parse(asks.as_bytes()).unwrap();
    let mut asked = identity.asked(&asks, None).await.unwrap();
    let taken = Err(OAuthError::AccessDenied.because("it is in the consent"));
    let authorization = std::mem::replace(&mut asked.authorization, taken);
    let consent = Consent {
        asked,
        authorization: authorization.unwrap(),
        login: Login {
            login: "admin".into(),
            password: SecretString::from("the administrator's one"),
            client: Client::new(None, None),
        },
    };
    let allowed = identity.allow(&consent, &metadata()).await;
    allowed.unwrap().code
}

/// Who logs out everywhere, is suspended or gets another password, also takes back what lies on its way to a client.
#[tokio::test]
async fn e14_a_code_is_worth_nothing_once_something_was_taken_from_its_user() {
    let store = Store::memory().await;
    let identity = store.identity(ACCESS_TTL).await;
    let (client, user) = (app(&identity).await, admin(&identity).await);
    let gets_in = async |code: &OpaqueToken| {
        let exchange = Exchange {
            code: code.expose(),
            redirect_uri: DONE,
            verifier: VERIFIER,
            from: Client::new(None, None),
        };
        let exchanged = identity.exchange(&client, exchange, &metadata()).await;
        exchanged.is_ok()
    };
    let log_out = async |which| drop(identity.log_out(user, which, &metadata()).await.unwrap());

    let code = code_for(&identity, &client).await;
    log_out(Which::One(SessionId(id::new_v7()))).await;
    assert!(gets_in(&code).await, "of one session it is no matter");
    let code = code_for(&identity, &client).await;
    log_out(Which::All).await;
    assert!(!gets_in(&code).await);

    let code = code_for(&identity, &client).await;
    log_out(Which::All).await;
    let of_old = identity.db.exec("update codes set epoch = null", params![]);
    of_old.await.unwrap();
    assert!(gets_in(&code).await, "a release before did not say");
}
