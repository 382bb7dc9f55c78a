use crate::Service;
use crate::service::Mounts;

/// Routes with who may call them, then routers that say nothing of that, then workers, one a line.
pub(super) fn text(mut service: Service) -> String {
    let mut modules = std::mem::take(&mut service.modules);
    let mounts = Mounts::of(&service, &mut modules);
    let routes = mounts.listed;
    let width = routes
        .iter()
        .map(|route| route.path.len())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for route in &routes {
        text += &format!(
            "{:6} {:width$}  {:24} {:10} {}\n",
            route.method.as_str(),
            route.path,
            route.access,
            route.module,
            route.summary
        );
    }
    for module in mounts.unstated {
        text += &format!("router {module}: its access is its own\n");
    }
    for module in &modules {
        for worker in &module.workers {
            text += &format!("worker {}/{}\n", module.name, worker.name);
        }
    }
    text
}
