//! PostgreSQL: a pool whose connections come back clean however their user went away.

mod connection;
mod failure;
mod listener;
mod lone;
mod pool;
mod pooler;
mod server;
mod tls;
mod together;
mod value;
mod work;

pub(crate) use self::connection::Connection;
pub(crate) use self::failure::sql_error;
pub(crate) use self::listener::{Following, follow};
pub(crate) use self::lone::Driver;
pub(crate) use self::pool::{Postgres, parse};
pub use self::together::{Connections, connections};
pub(crate) use self::together::{beside, count};
pub(crate) use self::value::{Text, Time};
pub(crate) use self::work::{Call, pipeline};
