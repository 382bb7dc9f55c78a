//! Routes with stated access, described by the types of their handlers.

mod handler;
mod operation;
mod serve;

pub use handler::Handler;
pub use operation::{Operation, op};

pub(crate) use serve::{Form, Mounted, enveloped, serve};

use http::Method;

/// The operations of a module, by method and path.
///
/// ```
/// use stanchion_server::{Answer, Anyone, PathId, Problem, Routes, op};
///
/// /// 404 for every name but one.
/// async fn greet(_: Anyone, PathId(name): PathId<String>) -> Result<Answer<String>, Problem> {
///     if name == "nobody" {
///         return Err(Problem::not_found("PERSON", name));
///     }
///     Ok(Answer::ok(format!("Hello, {name}")))
/// }
/// let routes: Routes = Routes::new().get("/greetings/{name}", op("Greet somebody", greet));
/// ```
pub struct Routes<S = ()> {
    pub(crate) listed: Vec<Route<S>>,
}

pub(crate) struct Route<S> {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) operation: Operation<S>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet.
    #[must_use]
    pub fn new() -> Self {
        Self { listed: Vec::new() }
    }

    /// Adds a `GET` (and with it `HEAD`).
    #[must_use]
    pub fn get(self, path: &str, operation: Operation<S>) -> Self {
        self.on(Method::GET, path, operation)
    }

    /// Adds a `POST`.
    #[must_use]
    pub fn post(self, path: &str, operation: Operation<S>) -> Self {
        self.on(Method::POST, path, operation)
    }

    /// Adds a `PUT`.
    #[must_use]
    pub fn put(self, path: &str, operation: Operation<S>) -> Self {
        self.on(Method::PUT, path, operation)
    }

    /// Adds a `PATCH`.
    #[must_use]
    pub fn patch(self, path: &str, operation: Operation<S>) -> Self {
        self.on(Method::PATCH, path, operation)
    }

    /// Adds a `DELETE`.
    #[must_use]
    pub fn delete(self, path: &str, operation: Operation<S>) -> Self {
        self.on(Method::DELETE, path, operation)
    }

    /// Adds all of these.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.listed.extend(others.listed);
        self
    }

    /// Gives the handlers their state (`State<S>`).
    #[must_use]
    pub fn with_state(self, state: S) -> Routes {
        let bind = |route: Route<S>| Route {
            method: route.method,
            path: route.path,
            operation: route.operation.with_state(state.clone()),
        };
        Routes {
            listed: self.listed.into_iter().map(bind).collect(),
        }
    }

    fn on(mut self, method: Method, path: &str, operation: Operation<S>) -> Self {
        assert!(
            path.starts_with('/'),
            "a route's path begins with a slash: `{path}`"
        );
        self.listed.push(Route {
            method,
            path: path.to_owned(),
            operation,
        });
        self
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> std::fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self
            .listed
            .iter()
            .map(|route| format!("{} {}", route.method, route.path));
        f.debug_list().entries(lines).finish()
    }
}
