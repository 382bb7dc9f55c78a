//! The routes.

pub(crate) mod payments;
pub(crate) mod refunds;
mod webhook;

use std::sync::Arc;

use axum::extract::FromRef;
use stanchion::auth::Policies;
use stanchion::server::Routes;

use crate::adapters::gateway::WebhookSecret;
use crate::adapters::projections::payments::PaymentList;
use crate::application::Payments;

/// What the routes work on.
#[derive(Clone)]
pub(crate) struct PaymentRoutes {
    pub(crate) payments: Arc<Payments>,
    pub(crate) list: Arc<PaymentList>,
    /// Whose payment it is, and what follows from that.
    pub(crate) policies: Arc<dyn Policies>,
    /// Without one no webhook is believed.
    pub(crate) webhook_secret: Option<WebhookSecret>,
}

pub(crate) fn routes(state: PaymentRoutes) -> Routes {
    payments::routes()
        .and(refunds::routes())
        .and(webhook::routes())
        .with_state(state)
}

impl FromRef<PaymentRoutes> for Option<WebhookSecret> {
    fn from_ref(state: &PaymentRoutes) -> Self {
        state.webhook_secret.clone()
    }
}
