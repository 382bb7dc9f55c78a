//! gRPC services on the public port, beside REST: the same stack, access, deadlines and problems.

mod as_service;
mod call;
mod cut;
mod enter;
mod health;
mod input;
mod methods;
mod reflection;
mod service;
mod status;
mod timeout;
mod untaken;
mod within;

pub use as_service::AsService;
pub(crate) use call::{Call, Fresh, is_grpc, is_grpc_type, outcome};
use cut::cut;
pub(crate) use enter::{Entered, Entrance, Entry, Inner, Services};
pub(crate) use health::HealthService;
pub use input::{answered, metadata, once};
pub use methods::StatesMethods;
pub(crate) use reflection::reflection;
pub use service::Grpc;
pub(crate) use service::Method;
use status::detailed;
pub use status::{access, respond};
pub(crate) use status::{name, rendered};
pub(crate) use timeout::requested as requested_timeout;
pub(crate) use within::Trusted;
pub use within::{InProcess, InProcessCaller};
