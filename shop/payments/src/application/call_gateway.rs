//! Calls the gateway for what is recorded, and records what it answers.
//!
//! A call is made after its request is committed, with a key that is the same at every repeat, so
//! a lost answer costs a repeat and no money. What is no longer wanted is not called for.

use std::sync::Arc;

use shop_kernel::PaymentId;
use stanchion::eventsourcing::{ExecuteError, Personal, Vault};
use stanchion::messaging::{HandlerError, Received};
use stanchion::runtime::clock;

use super::Payments;
use super::gateway_requests::{
    GatewayAuthorizationRequested, GatewayCaptureRequested, GatewayRefundRequested,
    GatewayVoidRequested,
};
use super::ports::{Authorization, Gateway, GatewayError, GiveBack, IntentAnswer, RefundAnswer};
use crate::domain::payment::{Action, Payment, PaymentRefusal};

/// The caller of the gateway.
#[derive(Clone)]
pub(crate) struct CallGateway {
    pub(crate) payments: Arc<Payments>,
    pub(crate) gateway: Arc<dyn Gateway>,
    /// Opens payment methods, for the length of a call.
    pub(crate) vault: Arc<dyn Vault>,
}

/// The code of a payment whose method was shredded before the gateway could be asked.
const METHOD_SHREDDED: &str = "payment_method_shredded";

impl CallGateway {
    /// Reserves, unless the answer came another way already.
    ///
    /// Also when a cancellation came meanwhile: an earlier attempt may have reached the gateway
    /// unseen, and only its answer names what is to be voided then.
    pub(crate) async fn authorize(
        &self,
        request: GatewayAuthorizationRequested,
        received: Received,
    ) -> Result<(), HandlerError> {
        let payment = self.load(request.payment_id).await?;
        if !payment.awaits_authorization() {
            return Ok(());
        }
        let Some(payment_method) = self.opened(request.payment_method).await? else {
            // If an earlier attempt did reach the gateway, what it reserved ends by itself there: nothing was taken.
            let code = METHOD_SHREDDED.to_owned();
            let action = Action::RecordDeclined { code };
            return self.record(request.payment_id, action, &received).await;
        };
        let wanted = Authorization {
            payment_id: request.payment_id,
            order_id: request.order_id,
            amount: request.amount,
            payment_method,
        };
        let answer = self.gateway.authorize(received.id, &wanted).await;
        let answer = answer.map_err(|error| later(&error))?;
        self.record(request.payment_id, answer.into(), &received)
            .await
    }

    /// Takes, after asking whether an earlier attempt did.
    pub(crate) async fn capture(
        &self,
        request: GatewayCaptureRequested,
        received: Received,
    ) -> Result<(), HandlerError> {
        let payment = self.load(request.payment_id).await?;
        if !payment.awaits_capture() {
            return Ok(());
        }
        let known = self.gateway.look_up(&request.intent).await;
        let answer = match known.map_err(|error| later(&error))? {
            // A void is on its way behind this: what is still only reserved is left to it.
            IntentAnswer::Authorized { .. } if payment.is_cancelled() => return Ok(()),
            IntentAnswer::Authorized { .. } => {
                let sent = self
                    .gateway
                    .capture(received.id, &request.intent, request.amount);
                sent.await.map_err(|error| later(&error))?
            }
            known => known,
        };
        self.record(request.payment_id, answer.into(), &received)
            .await
    }

    /// Frees what is reserved; if it was captured before, that is recorded and given back.
    pub(crate) async fn void(
        &self,
        request: GatewayVoidRequested,
        received: Received,
    ) -> Result<(), HandlerError> {
        let payment = self.load(request.payment_id).await?;
        if !payment.awaits_void() {
            return Ok(());
        }
        let answer = self.gateway.void(received.id, &request.intent).await;
        let answer = answer.map_err(|error| later(&error))?;
        self.record(request.payment_id, answer.into(), &received)
            .await
    }

    /// Gives back.
    pub(crate) async fn refund(
        &self,
        request: GatewayRefundRequested,
        received: Received,
    ) -> Result<(), HandlerError> {
        let refund_id = request.refund_id;
        let payment = self.load(request.payment_id).await?;
        if !payment.awaits_refund(refund_id) {
            return Ok(());
        }
        let wanted = GiveBack {
            payment_id: request.payment_id,
            refund_id,
            intent: request.intent,
            amount: request.amount,
        };
        let answer = self.gateway.refund(received.id, &wanted).await;
        let action = match answer.map_err(|error| later(&error))? {
            RefundAnswer::Succeeded => Action::RecordRefunded { refund_id },
            RefundAnswer::Failed { code } => Action::RecordRefundFailed { refund_id, code },
            RefundAnswer::Pending => {
                return Err(HandlerError::Later("the refund is pending".into()));
            }
        };
        self.record(request.payment_id, action, &received).await
    }

    /// The payment method; none if the customer was shredded.
    async fn opened(&self, method: Personal<String>) -> Result<Option<String>, HandlerError> {
        let opened = method.opened(&*self.vault).await;
        match opened.map_err(|error| HandlerError::Later(error.to_string()))? {
            Personal::Open { value, .. } => Ok(Some(value)),
            Personal::Shredded { .. } => Ok(None),
            Personal::Sealed { subject, .. } => Err(HandlerError::Later(format!(
                "the vault has no key of {subject}"
            ))),
        }
    }

    async fn load(&self, id: PaymentId) -> Result<Payment, HandlerError> {
        let loaded = self.payments.load(&id.to_string()).await;
        loaded
            .map(|loaded| loaded.state)
            .map_err(|error| HandlerError::Later(error.to_string()))
    }

    async fn record(
        &self,
        id: PaymentId,
        action: Action,
        received: &Received,
    ) -> Result<(), HandlerError> {
        let id = id.to_string();
        let execution = self
            .payments
            .on(&id, &received.metadata)
            .inbox(Some(received.inbox()));
        settled(execution.execute(&action.at(clock::now())).await.map(drop))
    }
}

/// What an execution means to a consumer: a repeat is fine, a refusal a defect, the rest waits.
pub(super) fn settled(
    executed: Result<(), ExecuteError<PaymentRefusal>>,
) -> Result<(), HandlerError> {
    match executed {
        Ok(()) | Err(ExecuteError::AlreadyHandled { .. }) => Ok(()),
        Err(ExecuteError::Refused(refusal)) => Err(HandlerError::Rejected(refusal.to_string())),
        Err(error) => Err(HandlerError::Later(error.to_string())),
    }
}

fn later(error: &GatewayError) -> HandlerError {
    if matches!(error, GatewayError::Unusable(_)) {
        tracing::error!(%error, "payments wait for the gateway");
    }
    HandlerError::Later(error.to_string())
}
