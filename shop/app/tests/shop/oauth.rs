//! OAuth 2.1 and OpenID Connect as clients meet them: honest ones, an independent library, and hostile ones.

mod authlib;
mod clients;
mod ends;
mod hostile;
mod limits;
mod own_tokens;
mod page;
mod reach;
mod support;
mod tokens;
