use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;
use stanchion_resilience::Priority;
use stanchion_resilience::adaptive::Kind;

use crate::present::{Present, Sought};

/// The header by which a caller says that its request matters less than usual: `normal`, `background` or `bulk`.
pub(crate) const HEADER: &str = "x-request-priority";
const NAME: HeaderName = HeaderName::from_static(HEADER);

/// Routes of somebody's own routers that are told apart; the others are taken for one.
const LANES_MAX: usize = 256;

/// How a route's requests are let in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    pub(crate) priority: Priority,
    /// What its requests take is compared among themselves.
    pub(crate) kind: Kind,
}

impl Lane {
    pub(crate) fn new(priority: Priority) -> Self {
        Self {
            priority,
            kind: Kind::default(),
        }
    }

    /// The route's priority, or a lower one that the caller asks for. What is not understood is not asked for.
    pub(super) fn asked(&self, headers: &HeaderMap, present: Present) -> Priority {
        if !present.has(Sought::Priority) {
            return self.priority;
        }
        let asked = headers.get(NAME).and_then(|value| {
            let is_it = |class: &Priority| value.as_bytes() == class.label().as_bytes();
            Priority::ALL.into_iter().find(is_it)
        });
        // The less important class is the greater one.
        asked.map_or(self.priority, |asked| asked.max(self.priority))
    }
}

/// The lanes of somebody's own router, whose routes are known when they are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    others: Lane,
    known: Arc<Mutex<HashMap<Arc<str>, Kind>>>,
}

impl Lanes {
    pub(crate) fn new(priority: Priority) -> Self {
        Self {
            others: Lane::new(priority),
            known: Arc::default(),
        }
    }

    /// The lane of whatever is not told apart.
    pub(crate) fn others(&self) -> &Lane {
        &self.others
    }

    /// The lane of a gRPC call's path, if it is known.
    pub(crate) fn of(&self, path: &str) -> Lane {
        let known = self.known.lock().get(path).cloned();
        known.map_or_else(|| self.others.clone(), |kind| self.lane(kind))
    }

    /// The lane of a route's template, or of a path that is known to be a method's, from now on one of its own; and the
    /// text itself, which is kept with it.
    pub(crate) fn learn(&self, route: &str) -> (Lane, Arc<str>) {
        let mut known = self.known.lock();
        let (route, kind) = match known.get_key_value(route) {
            Some((route, kind)) => (Arc::clone(route), kind.clone()),
            None if known.len() >= LANES_MAX => (route.into(), self.others.kind.clone()),
            None => {
                let route: Arc<str> = route.into();
                let kind = known.entry(Arc::clone(&route)).or_default();
                (route, kind.clone())
            }
        };
        (self.lane(kind), route)
    }

    /// All that are told apart, sorted.
    #[cfg(test)]
    pub(super) fn known(&self) -> Vec<String> {
        let known = self.known.lock();
        let mut known: Vec<_> = known.keys().map(ToString::to_string).collect();
        known.sort();
        known
    }

    fn lane(&self, kind: Kind) -> Lane {
        Lane {
            priority: self.others.priority,
            kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_can_only_lower_its_priority() {
        let cases = [
            (Priority::Normal, None, Priority::Normal),
            (Priority::Normal, Some("critical"), Priority::Normal),
            (Priority::Normal, Some("bulk"), Priority::Bulk),
            (Priority::Bulk, Some("background"), Priority::Bulk),
            (Priority::Critical, Some("normal"), Priority::Normal),
            (Priority::Normal, Some("BULK!"), Priority::Normal),
        ];
        for (own, asked, expected) in cases {
            let mut headers = HeaderMap::new();
            if let Some(asked) = asked {
                headers.insert(HEADER, asked.parse().unwrap());
            }
            assert_eq!(
                Lane::new(own).asked(&headers, Present::of(&headers)),
                expected,
                "{own:?} {asked:?}"
            );
        }
    }

    #[test]
    fn however_many_routes_are_made_up_the_lanes_are_bounded() {
        let lanes = Lanes::new(Priority::Normal);
        for number in 0..10_000 {
            lanes.learn(&number.to_string());
        }
        assert_eq!(lanes.known.lock().len(), LANES_MAX);
    }
}
