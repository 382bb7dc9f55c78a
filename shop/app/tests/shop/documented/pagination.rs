//! Every list of the document: how much may be asked for, in which order, and with whose cursor.

use reqwest::Method;

use super::{Operation, Scene, Stated, ask, none_wrong};
use crate::support::item;

/// What no list takes.
const WRONG: [(&str, &str); 17] = [
    ("limit=0", "INVALID_PARAMETER"),
    ("limit=-1", "INVALID_PARAMETER"),
    ("limit=101", "INVALID_PARAMETER"),
    ("limit=1000000000", "INVALID_PARAMETER"),
    ("limit=99999999999999999999", "INVALID_PARAMETER"),
    ("limit=1e2", "INVALID_PARAMETER"),
    ("limit=1&limit=100", "INVALID_PARAMETER"),
    ("page=0", "INVALID_PARAMETER"),
    ("page=-1", "INVALID_PARAMETER"),
    ("page=4294967295&limit=100", "INVALID_PARAMETER"),
    ("page=101&limit=100", "INVALID_PARAMETER"),
    ("sort=password_hash", "INVALID_PARAMETER"),
    ("sort=id;drop%20table%20users", "INVALID_PARAMETER"),
    ("order=sideways", "INVALID_PARAMETER"),
    ("cursor=", "INVALID_CURSOR"),
    ("cursor=AAAA", "INVALID_CURSOR"),
    ("offset=10", "INVALID_PARAMETER"),
];

/// The lists of the shop, with the path of each.
fn lists(scene: &Scene) -> Vec<(&Operation, String)> {
    let lists = scene
        .operations
        .iter()
        .filter(|operation| operation.takes("query", "cursor"));
    lists
        .map(|operation| (operation, scene.filled(operation)))
        .collect()
}

#[tokio::test]
async fn no_list_of_the_document_gives_more_or_sorts_by_more_than_it_says() {
    let scene = Scene::set().await;
    let lists = lists(&scene);
    assert!(lists.len() >= 5, "{} lists", lists.len());
    let mut wrong = Vec::new();
    for (operation, path) in &lists {
        for (query, code) in WRONG {
            let path = format!("{path}?{query}");
            let got = ask(&scene.admin, Method::GET, &path).send().await;
            if got.status != 400 || got.code() != code {
                wrong.push(format!(
                    "{}?{query}: {} {}",
                    operation.path, got.status, got.text
                ));
            }
        }
        let most = ask(&scene.admin, Method::GET, &format!("{path}?limit=100"))
            .send()
            .await;
        if most.status != 200 || most.data().as_array().is_none_or(|rows| rows.len() > 100) {
            wrong.push(format!("{}?limit=100: {}", operation.path, most.status));
        }
    }
    none_wrong(&wrong);
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_as_it_was_given_and_for_nothing_else() {
    let scene = Scene::set().await;
    for _ in 0..2 {
        scene.ada.order(&item("MUG-BLUE", 1)).await;
        scene.bob.order(&item("MUG-BLUE", 1)).await;
    }
    scene.caught_up().await;
    let lists = lists(&scene);
    let mut cursors = Vec::new();
    for (operation, path) in &lists {
        let first = ask(&scene.admin, Method::GET, &format!("{path}?limit=1"))
            .send()
            .await;
        let cursor = first.meta()["next_cursor"].as_str().map(str::to_owned);
        cursors.push((
            operation.path.clone(),
            cursor.unwrap_or_else(|| panic!("{path} has one row")),
        ));
    }
    let mut wrong = Vec::new();
    for (operation, path) in &lists {
        for (of, cursor) in &cursors {
            let with = |cursor: &str| {
                ask(
                    &scene.admin,
                    Method::GET,
                    &format!("{path}?cursor={cursor}"),
                )
            };
            let got = with(cursor).send().await;
            let fits = if *of == operation.path {
                got.status == 200
            } else {
                got.code() == "INVALID_CURSOR"
            };
            if !fits {
                wrong.push(format!(
                    "{} with a cursor of {of}: {} {}",
                    operation.path, got.status, got.text
                ));
            }
            if *of == operation.path {
                for spoilt in tampered(cursor) {
                    let got = with(&spoilt).send().await;
                    if got.code() != "INVALID_CURSOR" {
                        wrong.push(format!("{} with {spoilt}: {}", operation.path, got.status));
                    }
                }
            }
        }
    }
    none_wrong(&wrong);
}

/// The cursor with one letter changed, at several places, and cut.
fn tampered(cursor: &str) -> Vec<String> {
    let length = cursor.len();
    let changed = [0, length / 3, length / 2, length - 2].map(|at| {
        let other = if &cursor[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &cursor[..at], &cursor[at + 1..])
    });
    let mut all = changed.to_vec();
    all.push(cursor[..length - 4].to_owned());
    all
}

#[tokio::test]
async fn somebody_elses_cursor_shows_nothing_of_theirs() {
    let scene = Scene::set().await;
    for _ in 0..2 {
        scene.ada.order(&item("MUG-BLUE", 1)).await;
    }
    scene.bob.order(&item("MUG-BLUE", 1)).await;
    scene.caught_up().await;
    let mut tried = 0;
    for (operation, path) in lists(&scene) {
        if operation.has_object() || !matches!(operation.stated(), Stated::Policy(_)) {
            continue;
        }
        tried += 1;
        let first = ask(&scene.ada, Method::GET, &format!("{path}?limit=1"))
            .send()
            .await;
        let cursor = first.expect(200).meta()["next_cursor"]
            .as_str()
            .unwrap()
            .to_owned();
        let shown = ask(&scene.bob, Method::GET, &format!("{path}?cursor={cursor}"))
            .send()
            .await;
        let hers = ask(&scene.ada, Method::GET, &format!("{path}?limit=100"))
            .send()
            .await;
        for row in hers.expect(200).data().as_array().unwrap() {
            let id = row["id"].as_str().unwrap();
            assert!(!shown.text.contains(id), "{path}: {}", shown.text);
        }
    }
    assert!(tried >= 2, "{tried} lists of one's own");
}
