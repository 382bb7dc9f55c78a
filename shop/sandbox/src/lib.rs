//! A small payment gateway that speaks the Stripe PaymentIntents wire format.
