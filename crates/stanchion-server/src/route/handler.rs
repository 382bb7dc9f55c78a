use std::pin::Pin;

use axum::extract::{FromRequest, FromRequestParts, Request};

use crate::access::argument;
use crate::answer::Outcome;
use crate::describe::{Describe, Description};
use crate::{Access, Reply, StatesAccess};

/// An async fn whose first argument states who may call it.
///
/// The others are extractors that describe themselves ([`Describe`]); the last may consume the
/// body. Up to eight arguments. Not for implementing: it is implemented for functions.
#[diagnostic::on_unimplemented(
    message = "this function is no handler of a described route",
    note = "its first argument must be `Authorized<P>`, `Guarded<P>`, `Caller`, `Optional` or `Anyone`",
    note = "every other argument must be an extractor that implements `Describe`, the body's last",
    note = "it must return `Answer`, `Listed`, `Events`, or a `Result` of one with an error into `Problem`"
)]
pub trait Handler<S, X>: Clone + Send + Sync + 'static {
    /// Who may call.
    #[doc(hidden)]
    const ACCESS: Access;

    /// Describes arguments and answer.
    #[doc(hidden)]
    fn describe(description: &mut Description);

    /// Takes the arguments from the request and calls the function.
    #[doc(hidden)]
    fn call(self, request: Request, state: S) -> Pin<Box<dyn Future<Output = Outcome> + Send>>;
}

impl<F, Fut, R, S, A> Handler<S, (A,)> for F
where
    F: Fn(A) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = R> + Send,
    R: Reply,
    S: Send + Sync + 'static,
    A: StatesAccess,
{
    const ACCESS: Access = A::ACCESS;

    fn describe(description: &mut Description) {
        R::describe(description);
    }

    fn call(self, request: Request, _: S) -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
        Box::pin(async move {
            let (parts, _) = request.into_parts();
            match argument::<A>(&parts) {
                Ok(caller) => self(caller).await.into_outcome(),
                Err(problem) => Outcome::rejected(problem),
            }
        })
    }
}

macro_rules! handlers {
    ($($middle:ident),*) => {
        #[allow(non_snake_case)]
        impl<F, Fut, R, S, M, A, $($middle,)* L> Handler<S, (M, A, $($middle,)* L)> for F
        where
            F: Fn(A, $($middle,)* L) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + Send,
            R: Reply,
            S: Send + Sync + 'static,
            A: StatesAccess,
            $($middle: FromRequestParts<S> + Describe + Send,)*
            L: FromRequest<S, M> + Describe + Send,
        {
            const ACCESS: Access = A::ACCESS;

            fn describe(description: &mut Description) {
                $($middle::describe(description);)*
                L::describe(description);
                R::describe(description);
            }

            fn call(self, request: Request, state: S) -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
                Box::pin(async move {
                    #[allow(unused_mut)]
                    let (mut parts, body) = request.into_parts();
                    let caller = match argument::<A>(&parts) {
                        Ok(caller) => caller,
                        Err(problem) => return Outcome::rejected(problem),
                    };
                    $(let $middle = match $middle::from_request_parts(&mut parts, &state).await {
                        Ok(value) => value,
                        Err(rejection) => return Outcome::rejected(rejection),
                    };)*
                    let request = Request::from_parts(parts, body);
                    let last = match L::from_request(request, &state).await {
                        Ok(value) => value,
                        Err(rejection) => return Outcome::rejected(rejection),
                    };
                    self(caller, $($middle,)* last).await.into_outcome()
                })
            }
        }
    };
}

handlers!();
handlers!(T2);
handlers!(T2, T3);
handlers!(T2, T3, T4);
handlers!(T2, T3, T4, T5);
handlers!(T2, T3, T4, T5, T6);
handlers!(T2, T3, T4, T5, T6, T7);
