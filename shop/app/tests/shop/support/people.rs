//! Who calls a shop, and who only looks at it.

use reqwest::Method;
use shop_cluster::Cluster;

use super::caller::{Ask, Caller};
use super::{ADMIN_PASSWORD, Shop};

impl Shop {
    /// Somebody without a token.
    pub(crate) fn anyone(&self) -> Caller {
        Caller::anonymous(self.http.clone(), format!("http://{}", self.address))
    }

    /// `GET` of a path outside `/api/v1`.
    pub(crate) fn fetch(&self, path: &str) -> Ask {
        Ask::new(
            &self.http,
            Method::GET,
            format!("http://{}{path}", self.address),
        )
    }

    /// `GET` on one of the ports of one of its processes.
    pub(crate) fn fetch_at(&self, address: &str, path: &str) -> Ask {
        Ask::new(&self.http, Method::GET, format!("http://{address}{path}"))
    }

    /// `GET` on the admin port.
    pub(crate) fn fetch_admin(&self, path: &str) -> Ask {
        Ask::new(
            &self.http,
            Method::GET,
            format!("http://{}{path}", self.admin_address),
        )
    }

    /// `GET` on the admin port of that process; of the only one where it is one.
    pub(crate) fn fetch_admin_of(&self, service: &str, path: &str) -> Ask {
        let services = self.services.as_ref().map(Cluster::services);
        let found = services.map(|all| all.iter().find(|one| one.name() == service));
        match found {
            None => self.fetch_admin(path),
            Some(found) => self.fetch_at(found.expect("a service of that name").admin(), path),
        }
    }

    /// A new customer, logged in.
    pub(crate) async fn customer(&self, name: &str) -> Caller {
        let mut caller = self.anyone();
        caller.register(name).await;
        caller
    }

    /// The first administrator, logged in.
    pub(crate) async fn admin(&self) -> Caller {
        let mut caller = self.anyone();
        caller.log_in("admin", ADMIN_PASSWORD).await;
        caller
    }

    /// A new user with the role `staff`, logged in after getting it.
    pub(crate) async fn staff(&self, name: &str) -> Caller {
        let mut staff = self.customer(name).await;
        let roles = serde_json::json!({"roles": ["staff"]});
        let admin = self.admin().await;
        admin
            .put(&format!("/users/{}/roles", staff.id))
            .json(&roles)
            .send()
            .await
            .expect(200);
        staff.log_in(name, super::PASSWORD).await;
        staff
    }
}
