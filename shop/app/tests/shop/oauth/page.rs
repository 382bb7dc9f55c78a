//! The sign-in page: what it may load, and how it looks and works in a real browser without scripts.

use reqwest::header::LOCATION;
use serde_json::json;

use super::support::{Visitor, app, changed, form};
use crate::docs_page::browser::Browser;
use crate::docs_page::picture;
use crate::support::{PASSWORD, Shop, eventually};

#[tokio::test]
async fn the_page_runs_nothing_is_framed_by_nobody_and_shows_what_it_was_told_as_text() {
    let shop = Shop::start().await;
    let mut plan = app("public");
    plan["name"] = json!("<script>alert(1)</script> & \"Sons'");
    let odd = shop.client(plan).await;
    let asks = Visitor::asks(&odd, "openid offline_access");
    let asks = changed(&asks, &[("state", "\"><img src=x onerror=alert(1)>")]);
    let mut visitor = shop.visitor();
    let page = visitor.open(&form(&asks)).await.expect(200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header(LOCATION.as_str()), None);
    let policy = page.header("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self' https://app.example;",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(
        !policy.contains("script-src") && !policy.contains("unsafe"),
        "{policy}"
    );
    for odd in ["<script", "<img", "onerror=alert(1)>"] {
        assert!(!page.text.contains(odd), "{odd}: {}", page.text);
    }
    let cookie = page.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
    // A second tab has the same cookie, so that the first one still works.
    let first = visitor.cookie.clone();
    visitor.open(&form(&asks)).await.expect(200);
    assert_eq!(visitor.cookie, first);
}

#[tokio::test]
async fn a_browser_without_scripts_signs_in_and_comes_back_with_a_code() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let shop = Shop::start().await;
    shop.customer("ada").await;
    let mut plan = app("public");
    // Somewhere that answers, so that the browser arrives.
    let back = format!("http://{}/health", shop.address);
    plan["redirect_uris"] = json!([back]);
    let kettle = shop.client(plan).await;
    let asks = Visitor::asks(
        &kettle,
        "openid profile email offline_access shop order:read",
    );
    let asks = changed(&asks, &[("redirect_uri", back.as_str())]);
    let url = format!("http://{}/oauth2/authorize?{}", shop.address, form(&asks));
    browser.open(&url).await;
    browser.screenshot(&picture("sign-in.png")).await;
    // Each field has a label, the page a language, a title and one heading.
    let told = browser
        .run(
            "return {labels: [...document.querySelectorAll('input:not([type=hidden])')].map(one => one.labels.length), \
             lang: document.documentElement.lang, title: document.title, scripts: document.scripts.length, \
             headings: document.querySelectorAll('h1').length, styled: getComputedStyle(document.querySelector('main')).maxWidth}",
        )
        .await;
    assert_eq!(
        (&told["labels"], &told["lang"]),
        (&json!([1, 1]), &json!("en"))
    );
    assert_eq!(
        (&told["scripts"], &told["headings"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(
        told["styled"], "416px",
        "the policy let the page's own style in"
    );
    assert!(told["title"].as_str().unwrap().contains("Kettle"));

    browser.run(&filled("not the password")).await;
    eventually("it says what is wrong", crate::support::READY_WITHIN, || async {
        let said = browser.run("const wrong = document.querySelector('[role=alert]'); return wrong && wrong.innerText").await;
        said.as_str().filter(|said| said.contains("wrong")).map(drop)
    })
    .await;
    browser.screenshot(&picture("sign-in-again.png")).await;
    browser.run(&filled(PASSWORD)).await;
    let place = eventually("it comes back", crate::support::READY_WITHIN, || async {
        let place = browser.run("return location.href").await;
        let place = place.as_str().unwrap().to_owned();
        place.contains("code=").then_some(place)
    })
    .await;
    assert!(place.starts_with(&back) && place.contains("iss=") && place.contains("state=s-1"));
    let refused = format!("http://{}/oauth2/authorize?client_id=x", shop.address);
    browser.open(&refused).await;
    browser.screenshot(&picture("sign-in-refused.png")).await;
}

/// Does with the form what a person would; the page itself has no script.
fn filled(password: &str) -> String {
    format!(
        "document.querySelector('#login').value = 'ada'; document.querySelector('#password').value = '{password}'; \
         document.querySelector('button.yes').click(); return null"
    )
}
