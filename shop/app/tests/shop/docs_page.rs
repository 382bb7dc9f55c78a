//! `/docs` in a real browser with the network cut: every route is shown, and one is tried out.

pub(crate) mod browser;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Shop, eventually};
use browser::Browser;

const SHOWN_WITHIN: Duration = Duration::from_secs(60);

/// Method and path of everything the page shows.
const SHOWN: &str = "return [...document.querySelectorAll('.opblock')].map(block =>
    block.querySelector('.opblock-summary-method').innerText.toLowerCase() + ' '
    + block.querySelector('.opblock-summary-path').dataset.path)";

/// Opens a route and executes it as it stands.
const EXECUTE: &str = "
    const block = [...document.querySelectorAll('.opblock-get')].find(block =>
        block.querySelector('.opblock-summary-path').dataset.path === '/api/v1/products');
    block.scrollIntoView();
    if (!block.classList.contains('is-open')) { block.querySelector('.opblock-summary-control').click(); }
    const execute = block.querySelector('.execute');
    if (execute && !block.dataset.asked) { block.dataset.asked = 'yes'; execute.click(); }
    const answer = block.querySelector('.live-responses-table');
    return answer && answer.innerText";

const LOADED: &str = "return performance.getEntriesByType('resource').map(entry => entry.name)";

#[tokio::test]
async fn the_docs_page_shows_every_route_and_executes_one_with_the_network_cut() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let shop = Shop::start().await;
    let document = shop.fetch("/openapi.json").send().await.expect(200).json();
    browser.open(&format!("http://{}/docs", shop.address)).await;

    let due = operations(&document);
    let shown = eventually("the routes are shown", SHOWN_WITHIN, || async {
        let shown = texts(&browser.run(SHOWN).await);
        (shown.len() >= due.len()).then_some(shown)
    })
    .await;
    assert_eq!(shown, due);
    browser.screenshot(&picture("docs-page.png")).await;

    let answer = eventually("a route is executed", SHOWN_WITHIN, || async {
        let answer = browser.run(EXECUTE).await;
        answer
            .as_str()
            .filter(|text| text.contains("200"))
            .map(str::to_owned)
    })
    .await;
    assert!(answer.contains("COFFEE-BEANS-1KG"), "{answer}");
    browser.screenshot(&picture("docs-page-executed.png")).await;

    let home = format!("http://{}/", shop.address);
    let abroad: Vec<_> = texts(&browser.run(LOADED).await)
        .into_iter()
        .filter(|url| !url.starts_with(&home))
        .collect();
    assert!(
        abroad.iter().all(|url| url.starts_with("data:")),
        "{abroad:?}"
    );
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

fn operations(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = [
        "get", "put", "post", "delete", "options", "head", "patch", "trace",
    ];
    paths
        .flat_map(|(path, item)| {
            let known = item
                .as_object()
                .unwrap()
                .keys()
                .filter(move |key| methods.contains(&key.as_str()));
            known.map(move |method| format!("{method} {path}"))
        })
        .collect()
}

fn texts(list: &Value) -> BTreeSet<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .map(|item| item.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Where a picture of the page is kept for whoever wants to look at it.
pub(crate) fn picture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target")
        .join(name)
}

/// The body of a WebDriver call that runs a script.
fn script(text: &str) -> Value {
    json!({"script": text, "args": []})
}
