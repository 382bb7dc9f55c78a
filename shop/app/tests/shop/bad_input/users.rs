//! Users that cannot be, and what users may not make of themselves.

use serde_json::{Value, json};

use super::cases::{Case, Who};

pub(super) fn rows() -> Vec<Case> {
    let mut rows = registrations();
    rows.extend(profiles());
    rows.extend(standing());
    rows.extend(logins());
    rows
}

fn user(field: &str, value: Value) -> String {
    let mut body =
        json!({"email": "eve@example.com", "username": "eve", "password": "long enough"});
    body[field] = value;
    body.to_string()
}

fn registrations() -> Vec<Case> {
    let invalid = [
        ("an address without @", "email", json!("eve.example.com")),
        ("an address with two @", "email", json!("eve@@example.com")),
        (
            "an address of 300 letters",
            "email",
            json!(format!("{}@example.com", "e".repeat(300))),
        ),
        (
            "an address with a line break",
            "email",
            json!("eve@example.com\r\nBcc: all@example.com"),
        ),
        ("an address that is a number", "email", json!(5)),
        ("a username of two letters", "username", json!("ev")),
        (
            "a username of 31 letters",
            "username",
            json!("e".repeat(31)),
        ),
        ("a username with a dash", "username", json!("e-v-e")),
        ("a username of another script", "username", json!("еve")),
        ("a password of 7 letters", "password", json!("1234567")),
        (
            "a password of 257 letters",
            "password",
            json!("p".repeat(257)),
        ),
        (
            "a password that is an object",
            "password",
            json!({"$ne": null}),
        ),
        (
            "a first name of 101 letters",
            "first_name",
            json!("n".repeat(101)),
        ),
        (
            "a first name with a zero byte",
            "first_name",
            json!("E\u{0}ve"),
        ),
    ];
    let privileged = [
        ("roles", json!(["admin"])),
        ("role", json!("admin")),
        ("is_admin", json!(true)),
        ("status", json!("active")),
        ("id", json!("{nobody}")),
        ("version", json!(1)),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("__proto__", json!({"roles": ["admin"]})),
    ];
    let mut rows = Vec::new();
    for (name, field, value) in invalid {
        rows.push(
            Case::post(name, "/users", user(field, value))
                .by(Who::Anyone)
                .is(422, "VALIDATION_FAILED"),
        );
    }
    for (field, value) in privileged {
        let name = format!("a registration that brings `{field}`");
        rows.push(
            Case::post(&name, "/users", user(field, value))
                .by(Who::Anyone)
                .is(400, "UNKNOWN_FIELD"),
        );
    }
    rows.push(
        Case::post(
            "a taken address",
            "/users",
            user("email", json!("ADA@example.com")),
        )
        .by(Who::Anyone)
        .is(409, "EMAIL_TAKEN"),
    );
    rows.push(
        Case::post("a taken name", "/users", user("username", json!("Ada")))
            .by(Who::Anyone)
            .is(409, "USERNAME_TAKEN"),
    );
    rows
}

fn profiles() -> Vec<Case> {
    let own = |name: &str, body: Value| Case::patch(name, "/users/{ada}", &body);
    vec![
        own(
            "a patch that makes an administrator",
            json!({"roles": ["admin"]}),
        )
        .is(400, "UNKNOWN_FIELD"),
        own(
            "a patch that sets a password",
            json!({"password": "another one"}),
        )
        .is(400, "UNKNOWN_FIELD"),
        own("a patch that sets a status", json!({"status": "active"})).is(400, "UNKNOWN_FIELD"),
        own("a patch that removes the address", json!({"email": null}))
            .is(422, "VALIDATION_FAILED"),
        own("a patch of an older version", json!({"first_name": "A"}))
            .with("if-match", "\"4711\"")
            .is(412, "PRECONDITION_FAILED"),
        own("a weak tag", json!({"first_name": "A"}))
            .with("if-match", "W/\"1\"")
            .is(412, "PRECONDITION_FAILED"),
        Case::get("an id that is none", "/users/ada").is(400, "INVALID_PARAMETER"),
        Case::get("a user that is not there", "/users/{nobody}").is(404, "USER_NOT_FOUND"),
    ]
}

fn standing() -> Vec<Case> {
    let roles = |name: &str, roles: Value| {
        Case::put(name, "/users/{ada}/roles", &json!({"roles": roles}))
            .by(Who::Admin)
            .is(422, "VALIDATION_FAILED")
    };
    vec![
        roles("no role", json!([])),
        roles("an unknown role", json!(["root"])),
        roles("a role that is a text", json!("staff")),
        Case::put(
            "an unknown status",
            "/users/{ada}/status",
            &json!({"status": "banned"}),
        )
        .by(Who::Admin)
        .is(422, "VALIDATION_FAILED"),
        Case::put(
            "roles given to oneself",
            "/users/{ada}/roles",
            &json!({"roles": ["admin"]}),
        )
        .is(403, "FORBIDDEN"),
    ]
}

fn logins() -> Vec<Case> {
    let login =
        |name: &str, body: Value| Case::post(name, "/auth/login", body.to_string()).by(Who::Anyone);
    let refresh = |name: &str, token: &str| {
        let body = json!({"refresh_token": token}).to_string();
        Case::post(name, "/auth/refresh", body)
            .by(Who::Anyone)
            .is(401, "")
    };
    vec![
        login(
            "a wrong password",
            json!({"login": "ada", "password": "not her password"}),
        )
        .is(401, ""),
        login(
            "an unknown user",
            json!({"login": "nobody", "password": "not her password"}),
        )
        .is(401, ""),
        login(
            "a login that is SQL",
            json!({"login": "' or '1'='1", "password": "' or '1'='1"}),
        )
        .is(401, ""),
        login(
            "a login that is an object",
            json!({"login": {"$gt": ""}, "password": "x"}),
        )
        .is(422, "VALIDATION_FAILED"),
        login(
            "a password of a megabyte",
            json!({"login": "ada", "password": "p".repeat(1_000_000)}),
        )
        .is(413, "PAYLOAD_TOO_LARGE"),
        login("a login without a password", json!({"login": "ada"})).is(422, "VALIDATION_FAILED"),
        login(
            "a login with more to it",
            json!({"login": "ada", "password": "x", "otp": "1"}),
        )
        .is(400, "UNKNOWN_FIELD"),
        refresh("a tampered refresh token", "{tampered-refresh}"),
        refresh("an access token as a refresh token", "{token}"),
        refresh("an empty refresh token", ""),
        refresh("a refresh token of 10,000 letters", &"r".repeat(10_000)),
    ]
}
