//! Paths and queries.

use reqwest::Method;

use super::cases::{Case, Who};

pub(super) fn rows() -> Vec<Case> {
    let mut rows = queries();
    rows.extend(cursors());
    rows.extend(paths());
    rows
}

fn queries() -> Vec<Case> {
    let queries = [
        "limit=0",
        "limit=101",
        "limit=1000000000",
        "limit=-1",
        "limit=abc",
        "limit=",
        "limit=1.5",
        "page=0",
        "page=-1",
        "page=abc",
        "page=501",
        "page=99999999999999999999",
        "page=101&limit=100",
        "page=1&page=2",
        "limit=5&limit=6",
        "sort=password_hash",
        "sort=total%3B--",
        "order=sideways",
        "no_such_filter=1",
        "status=weird",
        "status=",
        "placed_after=yesterday",
        "placed_before=0",
        "status=pending%00",
        "status=%ff%fe",
        "status[]=pending",
        "cursor=&page=1",
    ];
    let case = |query: &str| {
        let path = format!("/orders?{query}");
        Case::get(&format!("?{query}"), &path).is(400, "INVALID_PARAMETER")
    };
    let mut rows: Vec<_> = queries.into_iter().map(case).collect();
    let long = format!("/products?q={}", "q".repeat(300));
    rows.push(Case::get("a search of 300 letters", &long).is(400, "INVALID_PARAMETER"));
    rows.push(
        Case::get("a search with a zero byte", "/products?q=%00").is(400, "INVALID_PARAMETER"),
    );
    rows.push(
        Case::get(
            "stock that is neither true nor false",
            "/products?in_stock=maybe",
        )
        .is(400, "INVALID_PARAMETER"),
    );
    rows.push(
        Case::get("a sort by what is secret", "/users?sort=password_hash")
            .by(Who::Admin)
            .is(400, "INVALID_PARAMETER"),
    );
    rows
}

fn cursors() -> Vec<Case> {
    let cursors = [
        "nonsense",
        "eyJhIjoxfQ",
        "{tampered-cursor}",
        "{foreign-cursor}",
        "%F0%9F%92%A9",
        "..%2F..%2F",
    ];
    let mut rows: Vec<_> = cursors
        .into_iter()
        .map(|cursor| {
            let path = format!("/orders?cursor={cursor}");
            Case::get(&format!("the cursor {cursor}"), &path).is(400, "INVALID_CURSOR")
        })
        .collect();
    rows.push(
        Case::get(
            "a cursor and a page",
            "/products?cursor={foreign-cursor}&page=1",
        )
        .is(400, "INVALID_PARAMETER"),
    );
    rows.push(
        Case::get(
            "a cursor with another sort",
            "/products?cursor={foreign-cursor}&sort=price",
        )
        .is(400, "INVALID_CURSOR"),
    );
    rows
}

fn paths() -> Vec<Case> {
    let invalid = [
        "/orders/7",
        "/orders/not-a-uuid",
        "/orders/%ff%fe",
        "/orders/{order}%00",
        "/orders/%27%20or%201%3D1",
        "/orders/00000000-0000-0000-0000-00000000000g",
        "/products/%2e%2e%2fsecret",
        "/products/a%20b",
        "/users/me%2f..",
    ];
    let mut rows: Vec<_> = invalid
        .into_iter()
        .map(|path| Case::get(path, path).is(400, "INVALID_PARAMETER"))
        .collect();
    let lost = [
        "/nothing",
        "/orders/{order}/nothing",
        "/orders/",
        "//orders",
        "/orders/{order}/../../users/me/x",
    ];
    rows.extend(
        lost.into_iter()
            .map(|path| Case::get(path, path).is(404, "ROUTE_NOT_FOUND")),
    );
    let unknown = [
        ("/orders/{nobody}", "ORDER_NOT_FOUND"),
        ("/products/NO-SUCH-THING", "PRODUCT_NOT_FOUND"),
        ("/payments/{nobody}", "PAYMENT_NOT_FOUND"),
    ];
    rows.extend(
        unknown
            .into_iter()
            .map(|(path, code)| Case::get(path, path).is(404, code)),
    );
    for (method, path) in [
        (Method::PATCH, "/orders"),
        (Method::DELETE, "/orders/{order}"),
        (Method::PUT, "/auth/login"),
        (Method::TRACE, "/products"),
        (Method::from_bytes(b"BREW").unwrap(), "/products"),
    ] {
        let name = format!("{method} {path}");
        rows.push(Case::new(&name, method, path).is(405, "METHOD_NOT_ALLOWED"));
    }
    rows
}
