//! Routes of all modules, as one router and one document.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;
use serde_json::Value;
use stanchion_resilience::Priority;

use super::routed::{Foreign, Outlet, ready, set_endpoint};
use super::{Authenticator, Module, Service};
use crate::admission::{AdmitForeign, Lane, Lanes};
use crate::context::ModuleParts;
use crate::describe::{Description, Documented, ReplyShape, Schemas, document, usual_codes};
use crate::grpc::{Entered, Entrance, Entry, HealthService, Services, reflection};
use crate::route::{Form, Mounted, Operation, Route, serve};
use crate::{Access, Grpc, Problem, Routes, codes, idempotency};

/// All that is mounted.
pub(crate) struct Mounts {
    pub(crate) outlet: Outlet,
    /// The gRPC services alone, for calls within the process.
    pub(crate) grpc: Router,
    /// The same without a router.
    pub(crate) services: Services,
    pub(crate) document: Value,
    pub(crate) listed: Vec<Listed>,
    /// The modules that have routers of their own, whose access nobody states.
    pub(crate) unstated: Vec<&'static str>,
    /// Keeps `grpc.health.v1` true, where there is gRPC.
    pub(crate) grpc_health: Option<HealthService>,
}

/// A route, as the operator sees it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) access: Access,
    pub(crate) module: &'static str,
    pub(crate) summary: &'static str,
}

/// Gathers routes while they are mounted.
struct Mounting<'a> {
    service: &'a Service,
    by_path: BTreeMap<String, MethodRouter>,
    taken: HashSet<(Method, String)>,
    ids: HashSet<String>,
    documented: Vec<Documented>,
    schemas: Schemas,
    listed: Vec<Listed>,
    foreign: Option<Router>,
    unstated: Vec<&'static str>,
    grpc: Router,
    entered: Services,
    descriptors: Vec<&'static [u8]>,
    services: Vec<&'static str>,
}

impl Mounts {
    /// Mounts the modules of a service.
    ///
    /// # Panics
    /// Two routes are the same, two types go by one name, or a gRPC method states no access: a mistake to be mended in
    /// the code.
    pub(crate) fn of(service: &Service, modules: &mut [Module]) -> Self {
        let mut mounting = Mounting {
            service,
            by_path: BTreeMap::new(),
            taken: HashSet::new(),
            ids: HashSet::new(),
            documented: Vec::new(),
            schemas: Schemas::default(),
            listed: Vec::new(),
            foreign: None,
            unstated: Vec::new(),
            grpc: Router::new(),
            entered: Services::default(),
            descriptors: Vec::new(),
            services: Vec::new(),
        };
        for module in modules {
            mounting.module(module);
        }
        let health = mounting.usual_grpc();
        let mut mounts = mounting.finish();
        mounts.grpc_health = health;
        mounts
    }
}

impl Mounting<'_> {
    fn module(&mut self, module: &mut Module) {
        let base = self.service.base.clone();
        let below = self.parts(module, &base);
        for routes in std::mem::take(&mut module.routes) {
            self.routes(routes, &below);
        }
        let at_root = self.parts(module, "");
        for routes in std::mem::take(&mut module.root_routes) {
            self.routes(routes, &at_root);
        }
        for grpc in std::mem::take(&mut module.grpc) {
            self.grpc(grpc, &at_root);
        }
        for router in std::mem::take(&mut module.routers) {
            self.unstated.push(module.name);
            let lanes = Lanes::new(module.priority);
            let router = router.layer(AdmitForeign(lanes));
            self.foreign = Some(match self.foreign.take() {
                Some(others) => others.merge(router),
                None => router,
            });
        }
    }

    fn parts(&self, module: &Module, base: &str) -> Arc<ModuleParts> {
        Arc::new(ModuleParts {
            name: module.name,
            base: base.to_owned(),
            priority: module.priority,
            inbox: module.inbox.clone(),
            log: module.log.as_ref().map(|log| log.id()),
        })
    }

    /// Health and reflection, which every gRPC client expects, once somebody has a service.
    fn usual_grpc(&mut self) -> Option<HealthService> {
        if self.services.is_empty() {
            return None;
        }
        let parts = self.parts(&Module::new("grpc"), "");
        // Somebody may have a health service of their own.
        let keeper = if self.services.contains(&HealthService::NAME) {
            None
        } else {
            let (health, keeper) = HealthService::of(self.services.clone());
            self.grpc(health, &parts);
            Some(keeper)
        };
        let shown = reflection(&self.descriptors);
        let shown = shown.unwrap_or_else(|problem| panic!("{problem}"));
        self.grpc(shown, &parts);
        keeper
    }

    fn grpc(&mut self, grpc: Grpc, module: &Arc<ModuleParts>) {
        for (name, method) in &grpc.methods {
            let path = format!("/{}/{name}", grpc.name);
            let access = method.access;
            let access = access.unwrap_or_else(|| {
                panic!("{path} states no access: as its first argument, or by .allow")
            });
            self.listed.push(Listed {
                method: Method::POST,
                path,
                access,
                module: module.name,
                summary: "gRPC",
            });
        }
        self.services.push(grpc.name);
        self.descriptors.push(grpc.descriptors);
        let entrance = Entrance {
            service: grpc.name,
            methods: entries(&grpc, module.priority),
            module: Arc::clone(module),
            authenticator: Authenticator(self.service.tokens.clone()),
            timeout: self.service.settings.grpc_timeout,
            stream_timeout: self.service.settings.grpc_stream_timeout,
        };
        let entered = Entered::new(entrance, grpc.service);
        let path = format!("/{}/{{method}}", grpc.name);
        let router = std::mem::take(&mut self.grpc);
        self.grpc = router.route_service(&path, entered.clone());
        self.entered.0.insert(grpc.name, entered);
    }

    fn routes(&mut self, routes: Routes, module: &Arc<ModuleParts>) {
        for route in routes.listed {
            let path = format!("{}{}", module.base, route.path);
            let fresh = self.taken.insert((route.method.clone(), path.clone()));
            assert!(fresh, "{} {path} is routed twice", route.method);
            self.route(route, path, module);
        }
    }

    fn route(&mut self, route: Route<()>, path: String, module: &Arc<ModuleParts>) {
        let Route {
            method, operation, ..
        } = route;
        let rule = operation.idempotency_rule(&method, module.inbox.is_some());
        assert!(
            rule != crate::IdempotencyRule::Required || module.inbox.is_some(),
            "{method} {path} requires an idempotency key, so module `{}` needs an inbox",
            module.name
        );
        let known_caller = !matches!(operation.access, Access::Public | Access::Optional);
        assert!(
            rule == crate::IdempotencyRule::Ignored || known_caller,
            "{method} {path}: an idempotency key belongs to a caller, and this operation is public"
        );
        let mut description = Description::new(&path);
        (operation.describe)(&mut description);
        idempotency::describe(rule, &mut description);
        for code in operation
            .codes
            .iter()
            .copied()
            .chain(usual_codes(operation.access))
        {
            description.code(code);
        }
        let statuses = statuses(&operation, &description.reply);
        let mounted = Mounted {
            module: module.clone(),
            endpoint: path.as_str().into(),
            deadline: operation
                .deadline
                .unwrap_or(self.service.settings.request_timeout),
            body_bytes_max: operation
                .body_bytes_max
                .unwrap_or(self.service.settings.body_bytes_max.as_usize()),
            idempotency: rule,
            form: match description.reply {
                ReplyShape::Events(_) => Form::Events,
                ReplyShape::Verbatim { .. } => Form::Fixed,
                _ => Form::Json,
            },
            lane: Lane::new(operation.priority.unwrap_or(module.priority)),
            authenticator: Authenticator(self.service.tokens.clone()),
            statuses: statuses.clone(),
            codes: description.codes.iter().map(|code| code.name()).collect(),
            operation,
        };
        self.list(&method, &path, &mounted);
        self.document(&method, &path, &mounted, description, statuses);
        self.add(&method, path, mounted);
    }

    fn list(&mut self, method: &Method, path: &str, mounted: &Mounted) {
        self.listed.push(Listed {
            method: method.clone(),
            path: path.to_owned(),
            access: mounted.operation.access,
            module: mounted.module.name,
            summary: mounted.operation.summary,
        });
    }

    fn document(
        &mut self,
        method: &Method,
        path: &str,
        mounted: &Mounted,
        description: Description,
        statuses: Vec<u16>,
    ) {
        let operation = &mounted.operation;
        let id = format!("{}_{}", mounted.module.name, operation.name);
        assert!(
            self.ids.insert(id.clone()),
            "two operations are called {id}: name one with .id(…)"
        );
        for name in description.path_parameters() {
            let described = description
                .parameters
                .iter()
                .any(|known| known["name"] == *name);
            assert!(
                described,
                "{method} {path}: no argument takes {{{name}}}; add a PathId or Path"
            );
        }
        self.schemas.merge(description.schemas);
        self.documented.push(Documented {
            method: method.clone(),
            path: path.to_owned(),
            id,
            summary: operation.summary,
            about: operation.about,
            tag: operation.tag.unwrap_or(mounted.module.name).to_owned(),
            access: operation.access,
            parameters: description.parameters,
            body: description.body,
            statuses,
            codes: description.codes,
            reply: description.reply,
        });
    }

    fn add(&mut self, method: &Method, path: String, mounted: Mounted) {
        let filter =
            MethodFilter::try_from(method.clone()).expect("routes take the usual methods only");
        let mounted = Arc::new(mounted);
        let handler = move |request: Request| serve(mounted.clone(), request);
        let router = self.by_path.remove(&path).unwrap_or_default();
        self.by_path.insert(path, router.merge(on(filter, handler)));
    }

    fn finish(self) -> Mounts {
        assert!(
            self.schemas.clashes.is_empty(),
            "different types are described by one name: {:?}; rename with #[schema(as = …)]",
            self.schemas.clashes
        );
        let service = self.service;
        let document = document(
            &service.title,
            &service.version,
            &self.documented,
            self.schemas,
        );
        let router = self
            .by_path
            .into_iter()
            .fold(Router::new(), |router, (path, methods)| {
                router.route(&path, methods)
            });
        let router = router.merge(self.grpc.clone());
        let described = router.method_not_allowed_fallback(method_not_allowed);
        let foreign = self.foreign;
        let foreign = foreign.map(|router| Foreign::new(router, &service.settings));
        let outlet = match foreign {
            Some(foreign) if described.has_routes() => {
                Outlet::Described(ready(described.fallback_service(foreign)))
            }
            Some(foreign) => Outlet::Foreign(foreign),
            None => Outlet::Described(ready(described.fallback(not_found))),
        };
        Mounts {
            outlet,
            grpc: ready(self.grpc.fallback(not_found)),
            services: self.entered,
            document,
            listed: self.listed,
            unstated: self.unstated,
            grpc_health: None,
        }
    }
}

/// The methods of a gRPC service, where they are mounted.
fn entries(grpc: &Grpc, usual: Priority) -> BTreeMap<String, Entry> {
    let methods = grpc.methods.iter();
    let entries = methods.map(|(name, method)| {
        let priority = method.priority.or(grpc.priority).unwrap_or(usual);
        let entry = Entry {
            method: *method,
            endpoint: format!("/{}/{name}", grpc.name).into(),
            lane: Lane::new(priority),
        };
        (name.clone(), entry)
    });
    entries.collect()
}

/// Statuses of success: as declared, else by what is answered.
fn statuses(operation: &Operation, reply: &ReplyShape) -> Vec<u16> {
    match (operation.statuses.as_slice(), reply) {
        ([], ReplyShape::Nothing) => vec![204],
        ([], _) => vec![200],
        (declared, _) => declared.to_vec(),
    }
}

async fn not_found() -> Problem {
    codes::ROUTE_NOT_FOUND.problem()
}

async fn method_not_allowed(request: Request) -> Response {
    set_endpoint(&request);
    codes::METHOD_NOT_ALLOWED.problem().into_response()
}
