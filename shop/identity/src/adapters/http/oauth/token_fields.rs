//! What the forms of the token, introspection and revocation endpoints hold.

use super::form::{Field, Fields};

const CLIENT_ID: Field = optional(
    "client_id",
    "Who it is, unless Authorization: Basic says it.",
);
const CLIENT_SECRET: Field = optional(
    "client_secret",
    "What proves it, unless Authorization does.",
);
const TOKEN: Field = required("token", "An access token or a refresh token.");
const HINT: Field = optional(
    "token_type_hint",
    "Not needed: each kind is known by its look.",
);

pub(super) enum TokenFields {}
pub(super) enum IntrospectFields {}
pub(super) enum RevokeFields {}

impl Fields for TokenFields {
    const FIELDS: &'static [Field] = &[
        required(
            "grant_type",
            "`authorization_code`, `refresh_token` or `client_credentials`.",
        ),
        optional("code", "The code, for `authorization_code`."),
        optional("redirect_uri", "The one that the code was asked for with."),
        optional("code_verifier", "What the challenge was made of."),
        optional("refresh_token", "The token, for `refresh_token`."),
        optional(
            "scope",
            "No more than was granted, or than the client may have.",
        ),
        CLIENT_ID,
        CLIENT_SECRET,
    ];
}

impl Fields for IntrospectFields {
    const FIELDS: &'static [Field] = &[TOKEN, HINT, CLIENT_ID, CLIENT_SECRET];
}

impl Fields for RevokeFields {
    const FIELDS: &'static [Field] = &[TOKEN, HINT, CLIENT_ID, CLIENT_SECRET];
}

pub(super) const fn required(name: &'static str, about: &'static str) -> Field {
    Field {
        name,
        required: true,
        about,
    }
}

pub(super) const fn optional(name: &'static str, about: &'static str) -> Field {
    Field {
        name,
        required: false,
        about,
    }
}
