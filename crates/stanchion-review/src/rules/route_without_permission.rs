use super::prelude::*;

use std::collections::BTreeMap;

pub(crate) static RULE: Rule = Rule {
    name: "route-without-permission",
    title: "A route that changes something asks for no permission, unlike the routes beside it",
    why: "The one that was forgotten is the one that is found: nobody has to break in where nobody asks.",
    source: "https://owasp.org/Top10/A01_2021-Broken_Access_Control/ (CWE-862)",
    mend: "Take the same extractor, guard or middleware as its neighbours, or put all of them behind one; say so where it is meant for everybody.",
    point: Point::Security,
    severity: Severity::High,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: r#"
use axum::routing::{delete, post, put};
fn router() -> Router {
    Router::new()
        .route("/orders", post(place))
        .route("/orders/{id}", put(change).delete(cancel))
}
async fn place(caller: CurrentUser, Json(order): Json<Order>) -> Result<(), Problem> { caller.place(order).await }
async fn change(caller: CurrentUser, Path(id): Path<u64>) -> Result<(), Problem> { caller.change(id).await }
async fn cancel(State(orders): State<Orders>, Path(id): Path<u64>) -> Result<(), Problem> { orders.cancel(id).await }
"#,
            good: r#"
use axum::routing::{delete, post, put};
fn router() -> Router {
    Router::new()
        .route("/login", post(login))
        .route("/orders", post(place))
        .route("/orders/{id}", put(change).delete(cancel))
        .route("/notes", post(tell))
}
async fn login(Json(login): Json<Login>) -> Result<(), Problem> { check(login).await }
async fn place(caller: CurrentUser, Json(order): Json<Order>) -> Result<(), Problem> { caller.place(order).await }
async fn change(caller: CurrentUser, Path(id): Path<u64>) -> Result<(), Problem> { caller.change(id).await }
async fn cancel(caller: Guarded<CancelOrder>, Path(id): Path<u64>) -> Result<(), Problem> { caller.cancel(id).await }
async fn tell(_: Anyone, Json(note): Json<Note>) -> Result<(), Problem> { keep(note).await }
"#,
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc routes(r *gin.Engine, h *handlers) {\n\tr.POST(\"/orders\", requireRole(\"buyer\"), h.place)\n\tr.PUT(\"/orders/:id\", requireRole(\"buyer\"), h.change)\n\tr.DELETE(\"/orders/:id\", h.cancel)\n}\n",
            good: "package a\n\nfunc routes(r *gin.Engine, h *handlers) {\n\tr.POST(\"/login\", h.login)\n\tr.POST(\"/orders\", requireRole(\"buyer\"), h.place)\n\tr.PUT(\"/orders/:id\", requireRole(\"buyer\"), h.change)\n\tr.DELETE(\"/orders/:id\", requireRole(\"buyer\"), h.cancel)\n}\n",
        },
    ],
};

/// What a name says that stands for somebody who was let in.
const WHO: [&str; 31] = [
    "auth", "authed", "authorized", "authenticated", "authorization", "authentication", "authenticate", "authorize", "jwt", "claims", "principal", "identity", "permission", "permissions", "role",
    "session", "caller", "user", "admin", "token", "bearer", "guard", "guarded", "headers", "signed", "viewer", "account", "protected", "private", "require", "login_required",
];
/// Routes that everybody may call: they are how one is let in, or how machines knock.
const OPEN: [&str; 48] = [
    "login", "signin", "sign_in", "log_in", "register", "registration", "signup", "sign_up", "token", "tokens", "refresh", "logout", "signout", "password", "reset", "forgot", "recover", "verify",
    "confirm", "activate", "webhook", "webhooks", "callback", "hook", "hooks", "oauth", "oauth2", "sso", "saml", "oidc", "auth", "health", "ready", "live", "ping", "metrics", "public", "contact",
    "subscribe", "unsubscribe", "session", "sessions", "setup", "install", "invite", "prelogin", "create_user", "create_account",
];
/// Fewer than these asking for a permission are no habit of the file.
const HABIT: usize = 2;

/// A route that changes something.
struct Route<'a> {
    node: Node<'a>,
    asks: bool,
    open: bool,
}

/// The odd ones out: where most ask, those that do not.
fn tell(routes: &[Route<'_>], found: &mut Found) {
    let asking = routes.iter().filter(|route| route.asks).count();
    let odd: Vec<_> = routes.iter().filter(|route| !route.asks && !route.open).collect();
    if asking >= HABIT && odd.len() < asking {
        for route in odd {
            found.at(route.node);
        }
    }
}

fn rust(source: &Source, found: &mut Found) {
    if source.has_any(&[".route_layer(", "from_fn_with_state(", "from_fn(", ".wrap(", "with_interceptor("]) {
        return;
    }
    let by_name: BTreeMap<&str, Node<'_>> = functions(source).map(|function| (function.field_text("name"), function)).collect();
    let mut routes = Vec::new();
    for call in calls(source).filter(|call| call.name == "route" && call.args().len() == 2) {
        let path = call.arg(0).and_then(literal).unwrap_or("");
        let Some(methods) = call.arg(1) else { continue };
        for method in calls_in(methods).chain(Call::of(methods)).filter(|method| changes(method.name)) {
            let handler = method.arg(0).map_or("", |arg| arg.text().rsplit("::").next().unwrap_or(""));
            if let Some(function) = by_name.get(handler) {
                routes.push(of_rust(*function, path));
            }
        }
    }
    for function in functions(source) {
        let verb = attributes(function).into_iter().find(|attribute| ["#[post(", "#[put(", "#[patch(", "#[delete("].iter().any(|verb| attribute.starts_with(verb)));
        if let Some(verb) = verb {
            routes.push(of_rust(function, verb));
        }
    }
    tell(&routes, found);
}

fn changes(method: &str) -> bool {
    ["post", "put", "patch", "delete"].contains(&method.to_ascii_lowercase().as_str())
}

fn of_rust<'a>(function: Node<'a>, path: &str) -> Route<'a> {
    let name = function.field("name").unwrap_or(function);
    let parameters = function.field("parameters").into_iter().flat_map(|list| list.each("parameter").map(|one| one.field_text("type")));
    let parameters: Vec<_> = parameters.collect();
    // It may ask in its body, by whatever it was given; comments ask nobody.
    let asks = ["authoriz", "authent", "permission", "claims", "session", "credential", "signature", "api_key", "token", "cookie"];
    let inside = function.field("body").is_some_and(|body| {
        body.below().filter(|node| node.kind().ends_with("identifier")).any(|node| {
            let name = node.text().to_ascii_lowercase();
            asks.iter().any(|word| name.contains(word))
        })
    });
    Route {
        node: name,
        asks: inside || parameters.iter().any(|kind| names_somebody(kind)),
        // A marker that it is for everybody is a statement: nobody forgot.
        open: says(name.text(), &OPEN) || says(path, &OPEN) || parameters.contains(&"Anyone"),
    }
}

/// Whether a parameter's type is somebody who was let in, rather than what was sent.
fn names_somebody(kind: &str) -> bool {
    let sent = ["Json<", "Path<", "Query<", "Form<", "State<", "web::", "&State<", "LenientForm<", "JsonEither<"];
    !sent.iter().any(|extractor| kind.starts_with(extractor)) && says(kind, &WHO)
}

fn go(source: &Source, found: &mut Found) {
    let mut by_receiver: BTreeMap<(usize, &str), Vec<Route<'_>>> = BTreeMap::new();
    for call in calls(source).filter(|call| call.receiver.is_some() && call.args().len() >= 2) {
        let Some(path) = call.arg(0).and_then(literal) else { continue };
        let verb = path.split(' ').next().unwrap_or("");
        let changing = changes(call.name) && (path.is_empty() || path.starts_with('/')) || (["Handle", "HandleFunc"].contains(&call.name) && changes(verb) && path.len() > verb.len());
        let Some(function) = function_of(call.node).filter(|_| changing) else { continue };
        let args = call.args();
        let asks = args.iter().skip(1).any(|arg| says(arg.text(), &WHO));
        let last = args.last().map_or("", |arg| arg.text());
        let route = Route { node: call.node, asks, open: says(path, &OPEN) || says(last, &OPEN) };
        by_receiver.entry((function.start(), call.receiver_text())).or_default().push(route);
    }
    for ((_, receiver), routes) in &by_receiver {
        // A group whose middleware asks lets nobody forget.
        let grouped = calls(source).any(|call| call.name == "Use" && call.receiver_text() == *receiver && says(call.args_text(), &WHO));
        if !grouped && !says(receiver, &WHO) {
            tell(routes, found);
        }
    }
}
